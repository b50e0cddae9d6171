"""`torch.compile` and `torch.export` of a recurrent layer (pytorch#158007, #167275, #141184).

There a layer is a break in the graph, or time is unrolled, which takes minutes. Here it is one
node, whatever the length. (Also #116858, #97155, #126339, #118740, #185135, #154652, PRs #185163,
#186614.)
"""

import torch
from torch.export import Dim, export

import elman


class Tagger(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = elman.nn.Recurrent(elman.cells["mgu"], 8, 16)
        self.read_out = torch.nn.Linear(16, 5)

    def forward(self, x):
        return self.read_out(torch.tanh(self.layer(x)[0]))


def gradients(module, x):
    return torch.autograd.grad(module(x).square().mean(), list(model.parameters()))


torch.manual_seed(0)
model, x = Tagger(), torch.randn(20, 4, 8)
compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
gradients(compiled, x)
program = export(model, (x,), dynamic_shapes={"x": {0: Dim("T"), 1: Dim("B")}})
exported = program.module()

with torch.compiler.set_stance("fail_on_recompile"):
    for lead in ((7, 3), (100, 2), (31, 16)):
        x = torch.randn(*lead, 8)
        torch.testing.assert_close(gradients(compiled, x), gradients(model, x))
        torch.testing.assert_close(exported(x), model(x))
print("compiled once, exported once: outputs and gradients of any length and batch are right")
nodes = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
assert len(nodes) < 12
print("the program:", *nodes)
