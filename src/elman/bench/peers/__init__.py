"""The peers by name: where each is written, and what must be installed for it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass

from elman.bench.case import Case


@dataclass(frozen=True)
class Peer:
    """`module` prepares a `Job`; `needs` are packages, by the names under which they are imported.

    `tasks` are what it can do. A peer that is `own` is Elman in another form, which no other is
    measured against.
    """

    name: str
    module: str
    needs: tuple[str, ...] = ("torch",)
    tasks: tuple[str, ...] = ("inference", "training")
    own: bool = False
    about: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return tuple(name for name in self.needs if importlib.util.find_spec(name) is None)


ELMAN, RECURRENT, FROZEN = "elman", "elman.nn.Recurrent", "elman frozen"
WHOLE, STEPWISE = "torch.compile", "torch.compile step"
PEERS = {
    peer.name: peer
    for peer in (
        Peer(ELMAN, "elman_", own=True, about="elman.nn.LSTM, GRU, RNN, else Recurrent"),
        Peer(RECURRENT, "elman_recurrent", own=True, about="the layer of any cell"),
        Peer(FROZEN, "elman_frozen", tasks=("inference",), own=True, about="elman, frozen"),
        Peer("torch.nn", "torch_nn", about="torch.nn.LSTM, GRU or RNN"),
        Peer("torch eager", "torch_loop", about="a loop in torch, written as by hand"),
        Peer(WHOLE, "torch_whole", about="that loop, compiled over the whole sequence"),
        Peer(STEPWISE, "torch_step", about="that loop, one step of it compiled"),
        Peer("JAX scan", "jax_scan", ("jax",), about="that loop as lax.scan under jax.jit"),
        Peer(
            "ONNX Runtime",
            "onnx_",
            ("onnxruntime", "onnx"),
            ("inference",),
            about="its operators LSTM, GRU and RNN",
        ),
        Peer("torchrecurrent", "torchrecurrent_", ("torch", "torchrecurrent")),
    )
}
RIVALS = tuple(name for name, peer in PEERS.items() if not peer.own)


def why_not(peer: Peer, case: Case) -> str:
    """Why a peer is not even started, or nothing."""
    if peer.missing:
        return f"{', '.join(peer.missing)} not installed"
    if case.task not in peer.tasks:
        return f"has no {case.task}"
    return ""


def missing(names: Iterable[str]) -> tuple[str, ...]:
    """The packages that these peers lack, each once."""
    return tuple(dict.fromkeys(p for name in names for p in PEERS[name].missing))
