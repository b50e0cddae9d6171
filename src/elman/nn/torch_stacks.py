"""torch's RNN, LSTM and GRU as the kernels have them: equations, and where torch's weights lie."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from elman.cell import Cell, published
from elman.library import cells
from elman.nn.layers import Layer, Stack, stacked

# torch's name of a kind: the cell of its equations, the gates as torch stacks them, the states
KINDS = {
    "RNN_TANH": ("rnn_torch", "h", ("h",)),
    "RNN_RELU": ("rnn_torch", "h", ("h",)),
    "GRU": ("gru_reset_after", "rzn", ("h",)),
    "LSTM": ("lstm_torch", "ifgo", ("h", "c")),
}
# torch's name of a weight: what its rows are called here, before a gate's letter
WEIGHTS = {"weight_ih": "W_i", "weight_hh": "W_h", "bias_ih": "b_i", "bias_hh": "b_h"}
STACKED = (*WEIGHTS,)  # gate below gate


@functools.cache
def equations(kind: str, bias: bool, projected: bool = False) -> Cell:
    """The cell that torch documents for a kind, without its biases where it has none.

    >>> equations("RNN_RELU", False)
    Cell('h[t] = relu(W_ih @ x[t] + W_hh @ h[t-1])  # the new state', name='rnn_torch')
    """
    name, _, _ = KINDS[kind]
    lines = [line for line in cells.text(name).splitlines() if not line.startswith("#")]
    text = "\n".join(lines).strip()
    text = text.replace("tanh", "relu") if kind == "RNN_RELU" else text
    text = text if bias else re.sub(r" \+ b_\w+", "", text)
    if projected:  # the memory has a size of its own, and what recurs is a projection of it
        text = "c: cell\n" + re.sub(r"(?m)^h\[t\] = (.*?)(?=  #|$)", r"h[t] = W_hr @ (\1)", text)
    return published(text, name)


def state_sizes(kind: str, hidden_size: int, proj_size: int) -> tuple[int, ...]:
    """The sizes of h and, of an LSTM, of c."""
    return (proj_size or hidden_size, hidden_size)[: len(KINDS[kind][2])]


def is_unpacked(rows: int, weights: int) -> bool:
    """Whether a forward kernel reads the weights of a step where they lie: `is_direct` in C."""
    return rows <= 8 and rows * 32768 <= weights


@dataclass(frozen=True)
class TorchLayer:
    """A layer of torch's: what its constructor is told that the shapes of the weights depend on."""

    kind: str
    bias: bool
    input_size: int
    hidden_size: int
    proj_size: int = 0
    num_layers: int = 1
    directions: int = 1

    @property
    def apart(self) -> bool:
        """Whether what torch's layer gives in training may be changed in place."""
        return self.kind != "LSTM" or bool(self.proj_size)

    @property
    def tails(self) -> tuple[int, ...]:
        """The sizes of the states."""
        return state_sizes(self.kind, self.hidden_size, self.proj_size)

    @property
    def merged(self) -> dict[str, tuple[str, ...]]:
        """The tensors of a layer in torch's order, and what their rows are called here."""
        _, gates, _ = KINDS[self.kind]
        letters = WEIGHTS.items() if self.bias else (*WEIGHTS.items(),)[:2]
        found = {name: tuple(letter + gate for gate in gates) for name, letter in letters}
        return found | ({"weight_hr": ("W_hr",)} if self.proj_size else {})

    def layer(self, k: int, remat: int | None) -> Layer:
        """Layer `k` of one direction."""
        cell = equations(self.kind, self.bias, bool(self.proj_size)).typed.cell
        _, _, states = KINDS[self.kind]
        below = self.tails[0] * self.directions if k else self.input_size
        sizes = {"input": below, "hidden": self.tails[0]}
        sizes |= {"cell": self.hidden_size} if self.proj_size else {}
        names = (name for names in self.merged.values() for name in names)
        return Layer(cell, sizes, ("x", *names), states, remat, self.merged)


@functools.lru_cache(maxsize=64)
def stack_of(torch_layer: TorchLayer, remat: int | None = None) -> Stack:
    """Layers of one direction: their tensors are x, the weights in torch's order, the states."""
    layers = [torch_layer.layer(k, remat) for k in range(torch_layer.num_layers)]
    return stacked(layers, ("x",), "x", torch_layer.apart)


@functools.lru_cache(maxsize=64)
def stacks_of(torch_layer: TorchLayer, remat: int | None = None) -> tuple[Stack, ...]:
    """One stack for each layer and direction; none is another, for each has packed weights."""
    # of two directions a third tensor is made
    apart = torch_layer.apart and torch_layer.directions == 1
    last = torch_layer.num_layers - 1
    return tuple(
        stacked([torch_layer.layer(k, remat)], ("x",), "x", apart and k == last)
        for k in range(torch_layer.num_layers)
        for _ in range(torch_layer.directions)
    )
