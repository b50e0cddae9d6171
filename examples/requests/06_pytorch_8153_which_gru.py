"""Which GRU is it? (pytorch#8153, #99531, PR#100646, #20129; burn#2704; keras#3701; flax#3760).

Frameworks reset before or after the product with the state, and z keeps or renews. The weights
have the same shapes, so that a mix-up is silent. Here each has a name of its own, and the wrong
map is refused. (Also zhiyongc/GRU-D#2.)
"""

import numpy as np
import torch

import elman

torch.manual_seed(0)
gru = torch.nn.GRU(3, 4, dtype=torch.float64)
x = torch.randn(6, 2, 3, dtype=torch.float64)
expected = gru(x)[0].detach().numpy()

weights = elman.convert(gru.state_dict(), "torch", "elman")
run = elman.cells["gru_reset_after"].run({"x": x.numpy()}, weights)
np.testing.assert_allclose(run["h"], expected, atol=1e-12)
print("torch.nn.GRU is gru_reset_after, to 1e-12")

renews = elman.convert(gru.state_dict(), "torch", "elman:gru_reset_after_take_new")
run = elman.cells["gru_reset_after_take_new"].run({"x": x.numpy()}, renews)
np.testing.assert_allclose(run["h"], expected, atol=1e-12)
print("with another sign of three weights it is gru_reset_after_take_new")

try:
    elman.convert(gru.state_dict(), "torch", "keras")
except elman.ElmanError as error:
    print(f"\n{error}\n")
else:
    raise AssertionError("Keras with reset_after=False is another function")
kept = elman.convert(gru.state_dict(), "torch", "keras-reset-after")
back = elman.convert(kept, "keras-reset-after", "torch")
again = torch.nn.GRU(3, 4, dtype=torch.float64)
again.load_state_dict({name: torch.as_tensor(array) for name, array in back.items()})
np.testing.assert_allclose(again(x)[0].detach().numpy(), expected, atol=1e-12)

assert not elman.same("gru", "gru_reset_after")
print(elman.same("gru", "gru_take_new"))
