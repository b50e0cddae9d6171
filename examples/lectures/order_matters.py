"""Order matters: the same numbers in order and shuffled.

A small GRU is trained to say the next number of a curve. Then it reads numbers that it has not
seen, once in order, once shuffled: it relies on the order, so that shuffled numbers take it further
off than their mean would be. A second one, trained on shuffled numbers, finds nothing to learn.
"""

import math

import torch

import elman

torch.manual_seed(0)
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

curve = torch.tensor([math.sin(0.3 * t) + 0.5 * math.sin(0.7 * t) for t in range(300)])
seen, unseen = curve[:200], curve[200:]


def shuffled(numbers):
    return numbers[torch.randperm(len(numbers))]


class Next(torch.nn.Module):
    """What comes next, from everything so far."""

    def __init__(self):
        super().__init__()
        self.layer = elman.nn.Recurrent(elman.cells["gru"], input_size=1, hidden_size=8)
        self.read_out = torch.nn.Linear(8, 1)

    def forward(self, numbers):
        h, _ = self.layer(numbers.reshape(-1, 1, 1))  # (T, 1, 8)
        return self.read_out(h).flatten()


def loss_of(model, numbers):
    return ((model(numbers[:-1]) - numbers[1:]) ** 2).mean()


def trained_on(numbers, steps=60):
    model = Next()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(model, numbers).backward()
        optimizer.step()
    return model


mixed = shuffled(unseen)
print(f"the spread of the numbers themselves (their variance)  {unseen.var().item():.2f}")
for words, numbers in (("in order", seen), ("shuffled", shuffled(seen))):
    model = trained_on(numbers)
    print(f"trained on the numbers {words}; mean squared error of the next number")
    print(f"  unseen numbers in order   {loss_of(model, unseen).item():.2f}")
    print(f"  the same numbers shuffled {loss_of(model, mixed).item():.2f}")
