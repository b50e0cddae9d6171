"""The same model with torch's layer and with Elman's, trained from one seed, side by side."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import elman.nn  # noqa: E402
from tests.nn.pairs import drawn  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]

OPTIONS = {
    "plain": {},
    "two layers": {"num_layers": 2, "dropout": 0.3},
    "two directions": {"num_layers": 2, "bidirectional": True},
    "projected": {"proj_size": 2},
}
CASES = [
    (kind, name)
    for kind in ("RNN", "GRU", "LSTM")
    for name in OPTIONS
    if name != "projected" or kind == "LSTM"
]


class Tagger(torch.nn.Module):
    def __init__(self, rnn: torch.nn.Module) -> None:
        super().__init__()
        self.rnn = rnn
        width = (rnn.proj_size or rnn.hidden_size) * (1 + rnn.bidirectional)
        self.out = torch.nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0])


class Training:
    """A model and its optimizer, both made from one seed, whoever's the layer is."""

    def __init__(self, whose: object, kind: str, options: dict[str, object]) -> None:
        torch.manual_seed(5)
        self.model = Tagger(getattr(whose, kind)(3, 5, **options)).double()
        self.optimizer = torch.optim.Adam(self.model.parameters(), 0.01)
        self.losses: list[float] = []

    def run(self, steps: int) -> None:
        for _ in range(steps):
            torch.manual_seed(len(self.losses))
            self.optimizer.zero_grad()
            x = drawn(6, 4, 3)
            loss = (self.model(x) - x.cumsum(0)[..., :2]).square().mean()
            loss.backward()
            self.optimizer.step()
            self.losses.append(loss.item())

    def save(self, path: object) -> None:
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(parts, path)

    def load(self, path: object) -> None:
        parts = torch.load(path, weights_only=True)
        assert str(self.model.load_state_dict(parts["model"])) == "<All keys matched successfully>"
        self.optimizer.load_state_dict(parts["optimizer"])


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_same_losses(kind, name, tmp_path):
    """50 steps of Adam; after 25 each goes on from the file that the other saved."""
    theirs, ours = (Training(whose, kind, OPTIONS[name]) for whose in (torch.nn, elman.nn))
    for each in (theirs, ours):
        each.run(25)
    theirs.save(tmp_path / "theirs.pt")
    ours.save(tmp_path / "ours.pt")
    theirs.load(tmp_path / "ours.pt")
    ours.load(tmp_path / "theirs.pt")
    for each in (theirs, ours):
        each.run(25)
    assert ours.losses[-1] < ours.losses[0]
    assert ours.losses == pytest.approx(theirs.losses, rel=1e-9, abs=0)
