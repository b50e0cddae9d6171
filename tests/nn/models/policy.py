"""A recurrent Q-network as in R2D2: encoder, LSTM with burn-in and resets, dueling heads."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

State = tuple[torch.Tensor, torch.Tensor]


class RecurrentQNetwork(nn.Module):
    def __init__(self, observation: int = 32, actions: int = 6, hidden: int = 256) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(observation, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.lstm = nn.LSTM(hidden, hidden)
        for name, param in self.lstm.named_parameters():
            if "bias" in name:
                nn.init.constant_(param, 0)
            elif "weight" in name:
                nn.init.orthogonal_(param, 1.0)
        self.value = nn.Linear(hidden, 1)
        self.advantage = nn.Linear(hidden, actions)

    def initial_state(self, batch: int) -> State:
        size = (self.lstm.num_layers, batch, self.lstm.hidden_size)
        weight = self.lstm.weight_hh_l0
        return weight.new_zeros(size), weight.new_zeros(size)

    def forward(self, obs: torch.Tensor, done: torch.Tensor, state: State):
        """Q values (T, B, actions); the state begins anew where an episode was done before."""
        features = self.encoder(obs)
        outputs = []
        # between two steps at which any episode ends, all of them go through the LSTM at once
        ends = done.any(dim=1).nonzero().flatten().tolist()
        bounds = sorted({0, *ends, len(obs)})
        for start, stop in pairwise(bounds):
            keep = (1.0 - done[start]).view(1, -1, 1)
            state = (keep * state[0], keep * state[1])
            output, state = self.lstm(features[start:stop], state)
            outputs.append(output)
        hidden = torch.cat(outputs)
        advantage = self.advantage(hidden)
        return self.value(hidden) + advantage - advantage.mean(-1, keepdim=True), state

    def act(self, obs: torch.Tensor, done: torch.Tensor, state: State):
        """The best actions for one step of every environment."""
        with torch.no_grad():
            q, state = self(obs.unsqueeze(0), done.unsqueeze(0), state)
        return q.squeeze(0).argmax(-1), state


def loss(
    model: nn.Module, batch: int = 32, burn_in: int = 40, steps: int = 80, observation: int = 32
) -> torch.Tensor:
    """That of a drawn batch of replayed sequences: the state is warmed up, then learned from."""
    draw = torch.Generator().manual_seed(0)
    dtype = model.value.weight.dtype
    obs = torch.randn(burn_in + steps, batch, observation, generator=draw).to(dtype)
    done = (torch.rand(burn_in + steps, batch, generator=draw) < 0.005).to(dtype)
    returns = torch.randn(steps, batch, generator=draw).to(dtype)
    actions = torch.randint(0, model.advantage.out_features, (steps, batch, 1), generator=draw)
    with torch.no_grad():
        _, state = model(obs[:burn_in], done[:burn_in], model.initial_state(batch))
    q, _ = model(obs[burn_in:], done[burn_in:], state)
    return nn.functional.smooth_l1_loss(q.gather(-1, actions).squeeze(-1), returns)
