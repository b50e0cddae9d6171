"""An LSTM that trained wrong in silence (pytorch#90421, #94754, #80306, #87579, #92615, #95137).

On MPS the gradients were wrong, and the test that knew it was skipped. Here every backend is made
from one text and compared with a float64 reference; that needs no Apple GPU. (Also
pytorch#102911.)
"""

import numpy as np

import elman

rng = np.random.default_rng(0)
for name in ("lstm", "lstm_torch", "gru", "gru_reset_after", "lstmp"):
    cell = elman.cells[name]
    sizes = {"input": 3, "hidden": 5} | ({"cell": 7} if name == "lstmp" else {})
    shapes = cell.shapes(**sizes)
    weights = {key: rng.normal(size=shapes[key]) for key in cell.parameters}
    x, cotangent = rng.normal(size=(9, 4, 3)), rng.normal(size=(9, 4, 5))

    def gradients(backend, cell=cell, weights=weights, x=x, cotangent=cotangent):
        return cell.gradients({"x": x}, weights, cotangents={"h": cotangent}, backend=backend)

    reference = gradients("numpy")
    for backend in ("torch", "c"):
        found = gradients(backend)
        assert found.keys() == reference.keys()
        for key, expected in reference.items():
            np.testing.assert_allclose(found[key], expected, rtol=1e-9, atol=1e-11)

    def error(weights, cell=cell, x=x, cotangent=cotangent):
        return float((cell.run({"x": x}, weights, backend="numpy")["h"] * cotangent).sum())

    for key in cell.parameters:  # the reference itself, against differences along a direction
        along = rng.normal(size=shapes[key])
        ahead, behind = (error(weights | {key: weights[key] + e * along}) for e in (1e-5, -1e-5))
        slope = (ahead - behind) / 2e-5
        np.testing.assert_allclose((reference[key] * along).sum(), slope, rtol=1e-6, atol=1e-8)
    print(f"{name}: {len(reference)} gradients agree on numpy, torch, c and with differences")
