"""Sentiment of a review: embedding, two-layer bidirectional LSTM on packed sequences, dropout."""

from __future__ import annotations

import torch
from torch import nn


class SentimentLSTM(nn.Module):
    def __init__(
        self,
        vocab_size: int = 5000,
        embedding_dim: int = 100,
        hidden_dim: int = 256,
        output_dim: int = 1,
        n_layers: int = 2,
        dropout: float = 0.5,
        pad_idx: int = 0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=pad_idx)
        self.rnn = nn.LSTM(
            embedding_dim,
            hidden_dim,
            num_layers=n_layers,
            bidirectional=True,
            dropout=dropout,
            batch_first=True,
        )
        self.fc = nn.Linear(hidden_dim * 2, output_dim)
        self.dropout = nn.Dropout(dropout)
        self.init_weights()

    def init_weights(self) -> None:
        for name, param in self.rnn.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(param.data)
            elif "bias" in name:
                param.data.fill_(0)
                n = param.size(0)
                param.data[n // 4 : n // 2].fill_(1)

    def forward(self, text: torch.Tensor, text_lengths: torch.Tensor) -> torch.Tensor:
        self.rnn.flatten_parameters()
        embedded = self.dropout(self.embedding(text))
        packed = nn.utils.rnn.pack_padded_sequence(
            embedded, text_lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, (hidden, _) = self.rnn(packed)
        hidden = self.dropout(torch.cat((hidden[-2], hidden[-1]), dim=1))
        return self.fc(hidden).squeeze(1)


def loss(model: nn.Module, batch: int = 32, longest: int = 60, vocab: int = 5000) -> torch.Tensor:
    """That of a drawn batch."""
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(longest // 4, longest + 1, (batch,), generator=draw)
    lengths[0] = longest
    text = torch.randint(1, vocab, (batch, longest), generator=draw)
    text[torch.arange(longest) >= lengths[:, None]] = 0
    labels = torch.randint(0, 2, (batch,), generator=draw)
    scores = model(text, lengths)
    return nn.functional.binary_cross_entropy_with_logits(scores, labels.to(scores.dtype))
