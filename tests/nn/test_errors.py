"""What a layer says to what it cannot take."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from elman.errors import ElmanError  # noqa: E402
from elman.nn import Recurrent  # noqa: E402
from tests.nn.test_recurrent import MASKED, drawn, small  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
x = drawn(4, 2, 2)
ELMAN = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)"
NUMBER = "x: scalar\nh[t] = tanh(w * x[t] + U @ h[t-1])"
DELAYED = "h[t] = tanh(W @ x[t] + V @ x[t-1] + U @ h[t-1])"


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (lambda: small()(torch.zeros(0, 2, 2, dtype=torch.float64)), "E212", "no steps"),
        (lambda: small()(x.float()), "E505", "Convert one"),
        (lambda: small()(x, {"s": x}), "E406", "Its states are h, c"),
        (lambda: small()(x, {"h": drawn(1, 3, 3)}), "E213", r"\(1, 2, 3\)"),
        (lambda: small()(x, {"h": drawn(2, 1, 3)}), "E213", r'Pass state\["h"\].transpose\(0, 1\)'),
        (lambda: small()(x, {"h": drawn(2, 3)}), "E213", r'Pass state\["h"\].unsqueeze\(0\)'),
        (lambda: small()(x, {"h": drawn(1, 2, 4)}), "E213", "Leave h out of the state"),
        (lambda: small()(x, {"h": drawn(1, 2, 3).float()}), "E505", "state h"),
        (lambda: small()(x, drawn(1, 2, 3)), "E406", "by name"),
        (lambda: small()(x, m=x), "E405", "no input m"),
        (lambda: small()(), "E405", "needs the input x"),
        (lambda: small(MASKED)(x), "E405", "Pass m=..."),
        (lambda: small(MASKED)(x, m=drawn(3, 2)), "E211", "m has 3, x has 4"),
        (lambda: small(MASKED)(x, m=drawn(4, 1)), "E211", "m has 1, x has 2"),
        (lambda: small()(drawn(4, 2, 5)), "E210", r"\(T, B, 2\)\n.*Pass x.transpose\(1, -1\)"),
        (lambda: small()(drawn(4, 3, 5)), "E210", "Make the layer with input_size=5"),
        (lambda: small(batch_first=True)(drawn(4, 3, 5)), "E210", r"\(B, T, 2\)"),
        (lambda: small()(drawn(4)), "E210", r"\(T, 2\)\n.*As in x = torch.zeros\(10, 2\)"),
        (lambda: small(MASKED)(x, m=drawn(4, 2, 1)), "E210", r"\(T, B\)\n.*m.squeeze\(-1\)"),
        (lambda: small()(x, n=x), "E405", "Leave n out"),
        (lambda: small(MASKED)(x, mm=x), "E405", "needs the input m"),
        (lambda: Recurrent(ELMAN, 2, 3)(x, length=3), "E405", "Did you mean 'lengths'"),
        (lambda: Recurrent(ELMAN, 2, 3, sizes={"input": 4}), "E203", "Leave input out of sizes"),
        (lambda: small()([[1.0, 2.0]]), "E504", "tensor"),
        (lambda: small()(x.int()), "E505", r"Convert one: x.to\(torch.float64\)\.$"),
        (lambda: small().step(x), "E210", r"x is \(4, 2, 2\), and one step needs \(B, 2\)"),
        (lambda: Recurrent(ELMAN, 2, 3, dtype="float32"), "E505", "Pass dtype=torch.float32"),
        (lambda: Recurrent(ELMAN, 2, 3, dtype=torch.int32), "E505", "real numbers"),
        (lambda: Recurrent(None, 2, 3), "E408", "Pass elman.cells"),
        (lambda: Recurrent({ELMAN}, 2, 3), "E408", "not from set"),
        (lambda: Recurrent([ELMAN, 42], 2, 3), "E408", "not from int"),
        (lambda: Recurrent([ELMAN, ELMAN], 2, [3]), "E208", "list of 1, and there are 2 layers"),
        (lambda: Recurrent(ELMAN, 2, [3, 0]), "E208", "hidden_size=0"),
        (lambda: Recurrent(ELMAN, 0, 3), "E208", "input_size=0"),
        (lambda: Recurrent(42, 2, 3), "E408", "not from int"),
        (lambda: Recurrent(NUMBER, 2, 3), "E203", "Pass input_size=1"),
        (lambda: Recurrent(NUMBER, 1, 1, 2), "E209", "read no layer"),
        (lambda: Recurrent(NUMBER, 1, 3)(torch.zeros(4, 2, 1)), "E210", r"\(T, B\)"),
        (
            lambda: Recurrent(DELAYED, 2, 3, 2)(drawn(4, 2, 2).float(), {"x": x}),
            "E213",
            "a tuple of 2",
        ),
        (lambda: Recurrent(ELMAN, 2, -1), "E208", "hidden_size=-1"),
        (lambda: Recurrent(ELMAN, 2, 3, num_layers=0), "E208", "num_layers=0"),
        (lambda: Recurrent(ELMAN, 2, 3, num_layers=2, dropout=1.5), "E214", "between 0 and 1"),
        (lambda: Recurrent(ELMAN, 2, 3, sizes={"cell": 4}), "E207", "cell"),
        (lambda: Recurrent("h[t] = x[t] + h[t-1]", 2, 3), "E203", "input_size=3"),
    ],
)
def test_a_mistake_is_named(call, code, words):
    with pytest.raises(ElmanError, match=words) as caught:
        call()
    assert caught.value.code == code


ALONE = """
import sys, warnings, torch
torch.set_num_threads(1)
from elman.nn import Recurrent
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    torch.manual_seed(0)
    layer = Recurrent("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)", 2, 3, dtype=torch.float64)
    x = torch.arange(12, dtype=torch.float64).reshape(3, 2, 2).requires_grad_()
    output, _ = layer(x)
    output.sum().backward()
    output, _ = layer(x)
for each in caught:
    print(each.category.__name__, str(each.message))
print(layer.explain())
print(output.sum().item(), x.grad.sum().item(), layer.U_l0.grad.sum().item())
"""


def test_without_a_compiler_torch_serves_and_one_line_says_so():
    def run(**environment: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", ALONE],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    notice, explained, numbers = run(ELMAN_CC="/nonexistent")
    assert notice.startswith("BackendNotice no C compiler was found")
    assert explained.startswith("torch: no C compiler")
    broken, explained, _ = run(ELMAN_CC="/bin/false")  # found, but compiles nothing
    assert broken.startswith("BackendNotice /bin/false compiles no C here")
    assert explained.startswith("torch: /bin/false")
    by_c = run()
    assert by_c[0] == "c: compiled kernels"
    for one, other in zip(numbers.split(), by_c[1].split(), strict=True):
        assert float(one) == pytest.approx(float(other), rel=1e-12)
