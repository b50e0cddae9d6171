"""A network that keeps its state from call to call (frugally-deep#417).

A converted model forgets between calls. Here the state is a value: a stream has it, gives it and
takes it, and the functions of the C code have it among their arguments.
"""

import numpy as np

import elman

rng = np.random.default_rng(0)
gru = elman.cells["gru"]
shapes = gru.shapes(input=4, hidden=6)
weights = {name: rng.normal(size=shapes[name]) for name in gru.parameters}
x = rng.normal(size=(30, 4))
whole = gru.run({"x": x}, weights)["h"]

stream = gru.stream(weights, copy=True)
first = [stream.step(x_t) for x_t in x[:10]]
saved = stream.state
rest = [stream.step(x_t) for x_t in x[10:]]
np.testing.assert_allclose(first + rest, whole, atol=1e-12)

another = gru.stream(weights, state=saved, copy=True)  # in another process, another day
assert np.array_equal([another.step(x_t) for x_t in x[10:]], rest)
stream.reset(saved)
assert np.array_equal([stream.step(x_t) for x_t in x[10:]], rest)
stream.reset()
assert np.array_equal([stream.step(x_t) for x_t in x[:10]], first)
print(f"30 steps in pieces of 10 and 20 are those of one run; the state is {sorted(saved)}")

for line in gru.code().splitlines():
    if line.startswith("  FORWARD_h_"):
        print(line)
