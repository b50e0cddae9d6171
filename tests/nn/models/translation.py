"""Translation: a GRU encoder, and a GRU decoder with Bahdanau attention, one word at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

SOS_TOKEN = 0


class EncoderRNN(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, dropout_p: float = 0.1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, tokens):
        return self.gru(self.dropout(self.embedding(tokens)))


class BahdanauAttention(nn.Module):
    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.query_layer = nn.Linear(hidden_size, hidden_size)
        self.key_layer = nn.Linear(hidden_size, hidden_size)
        self.energy = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.energy(torch.tanh(self.query_layer(query) + self.key_layer(keys)))
        weights = F.softmax(scores.squeeze(2).unsqueeze(1), dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size: int, output_size: int, dropout_p: float = 0.1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, encoder_outputs, encoder_hidden, target):
        word = torch.full((len(target), 1), SOS_TOKEN, dtype=torch.long)
        hidden = encoder_hidden
        outputs, attentions = [], []
        for i in range(target.size(1)):
            output, hidden, weights = self.forward_step(word, hidden, encoder_outputs)
            outputs.append(output)
            attentions.append(weights)
            word = target[:, i].unsqueeze(1)  # teacher forcing
        return (
            F.log_softmax(torch.cat(outputs, dim=1), dim=-1),
            hidden,
            torch.cat(attentions, dim=1),
        )

    def forward_step(self, word, hidden, encoder_outputs):
        embedded = self.dropout(self.embedding(word))
        context, weights = self.attention(hidden.permute(1, 0, 2), encoder_outputs)
        output, hidden = self.gru(torch.cat((embedded, context), dim=2), hidden)
        return self.out(output), hidden, weights


class Seq2Seq(nn.Module):
    def __init__(self, source_size: int = 3000, target_size: int = 3000, hidden_size: int = 128):
        super().__init__()
        self.encoder = EncoderRNN(source_size, hidden_size)
        self.decoder = AttnDecoderRNN(hidden_size, target_size)

    def forward(self, source, target):
        encoder_outputs, encoder_hidden = self.encoder(source)
        return self.decoder(encoder_outputs, encoder_hidden, target)[0]


def loss(model: nn.Module, batch: int = 32, steps: int = 12, vocab: int = 3000) -> torch.Tensor:
    """That of a drawn batch."""
    draw = torch.Generator().manual_seed(0)
    source = torch.randint(1, vocab, (batch, steps), generator=draw)
    target = torch.randint(1, vocab, (batch, steps), generator=draw)
    return F.nll_loss(model(source, target).flatten(0, 1), target.flatten())
