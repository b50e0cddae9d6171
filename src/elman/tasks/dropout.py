"""Dropout whose chance is drawn four numbers at a time."""

from __future__ import annotations

import torch


class Dropout(torch.nn.Module):
    """Zero a share `p` of the values while training, and scale the rest up to keep their mean.

    >>> layer = Dropout(0.25)
    >>> layer.eval()(torch.ones(3))
    tensor([1., 1., 1.])

    On the CPU torch draws each value's chance by itself (17 ms for two million values, a tenth of a
    training step of the language model); here one 64-bit draw serves four values (2 ms), and p is
    kept to 1/65536. The draws are those of torch's own generator: `torch.manual_seed` repeats them.

    Source: Srivastava et al., "Dropout" (2014).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The values in the shape they came in."""
        if not self.training or self.p == 0.0:
            return x
        threshold = round(self.p * 65536)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        draws.random_(-(2**63), None)  # all 64 bits
        chance = draws.view(torch.int16)[: x.numel()].view(x.shape)
        return torch.where(chance >= threshold - 32768, x * (65536 / (65536 - threshold)), 0.0)

    def extra_repr(self) -> str:
        return f"p={self.p}"
