"""An encoder-decoder with attention learns to write sequences of 20 symbols backwards.

    python examples/reversal.py [STEPS]        about half a minute on one core

A bidirectional GRU reads 20 letters; a GRU with Luong's attention writes them, the last one first.
Each sequence is drawn anew, of 26 ** 20. In the first half of the training sequences grow longer: a
step that has learned where to look in short ones finds it in long ones too.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

import elman
from elman.nn import Attention, Decoder, Encoder, EncoderDecoder

LETTERS = "abcdefghijklmnopqrstuvwxyz"
START, END = 26, 27  # behind the letters
WIDTH, HIDDEN, BATCH, LENGTH, STEPS = 32, 64, 64, 20, 2000


def network() -> EncoderDecoder:
    """Reads letters, and writes letters and an end."""
    encoder = Encoder(
        elman.nn.GRU(WIDTH, HIDDEN // 2, bidirectional=True), torch.nn.Embedding(26, WIDTH)
    )
    decoder = Decoder(
        elman.nn.GRU(WIDTH, HIDDEN),
        torch.nn.Embedding(28, WIDTH),
        attention=Attention(HIDDEN, HIDDEN, "general"),
        start=START,
        end=END,
    )
    return EncoderDecoder(encoder, decoder)


def sequences(count: int, length: int, drawn: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Letters (T, B), and the same backwards with an end behind them (T + 1, B)."""
    source = torch.randint(26, (length, count), generator=drawn)
    return source, torch.cat([source.flip(0), torch.full((1, count), END)])


def train(model: EncoderDecoder, steps: int, length: int = LENGTH, rate: float = 3e-3) -> None:
    """Adam, with the learning rate going down to zero in the second half."""
    drawn = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1.0, 2 - 2 * k / steps))
    for step in range(steps):
        longest = min(length, 2 + 2 * length * step // steps)
        source, targets = sequences(BATCH, longest, drawn)
        logits, _, _ = model(source, targets)
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"  step {step + 1:5}  loss {loss.item():.4f}", flush=True)


@dataclass(frozen=True)
class Result:
    """How many unseen sequences come out right to the last letter, and where the model looked."""

    exact: float
    weights: torch.Tensor  # (T, B, S)


def test(model: EncoderDecoder, count: int = 1000, length: int = LENGTH) -> Result:
    """Greedy writing; `count` sequences that were not seen in training."""
    source, _ = sequences(count, length, torch.Generator().manual_seed(2))
    found = model.eval().generate(source, max_steps=length + 5)
    texts = zip(found.tokens(), source.T.tolist(), strict=True)
    assert found.weights is not None
    return Result(sum(text == read[::-1] for text, read in texts) / count, found.weights)


if __name__ == "__main__":
    begun = time.perf_counter()
    torch.manual_seed(0)
    model = network()
    train(model, int(sys.argv[1]) if len(sys.argv) > 1 else STEPS)
    result = test(model)
    print(f"{result.exact:.1%} of 1000 unseen sequences of {LENGTH} letters reversed exactly")
    print(f"in {time.perf_counter() - begun:.0f} seconds")
    word = [LETTERS.index(letter) for letter in "reversesanysequences"]
    written = model.generate(torch.tensor(word)[:, None], max_steps=25, method="beam").tokens()[0]
    print("reversesanysequences ->", "".join(LETTERS[k] for k in written if k < 26))
