"""Masked sequences that come out right (TensorFlow#60192).

A masked cuDNN LSTM gave corrupt results with some masks. Here a mask is part of the equations:
what is behind a length changes nothing, be it NaN, and no gradient comes from there.
"""

import torch

import elman

torch.manual_seed(0)
lengths = torch.tensor([7, 0, 1, 12, 5, 12, 3])
clean = torch.randn(12, 7, 4, dtype=torch.float64)
behind = torch.arange(12)[:, None] >= lengths
x = clean.masked_fill(behind[..., None], torch.nan)


def gradients(layer, total):
    return torch.autograd.grad(total, list(layer.parameters()))


for name in ("lstm", "gru", "rnn", "layer_norm_lstm", "antisymmetric_rnn"):
    layer = elman.nn.Recurrent(elman.cells[name], 4, 6, num_layers=2, dtype=torch.float64)
    output, state = layer(x, lengths=lengths)
    assert (output[behind] == 0).all()
    total = output.square().sum() + state["h"].sum()
    found = gradients(layer, total)

    expected = 0.0  # one by one, without padding
    for k, length in enumerate(lengths.tolist()):
        if length == 0:
            assert (state["h"][:, k] == 0).all()
            continue
        alone, last = layer(clean[:length, k])
        torch.testing.assert_close(output[:length, k], alone)
        torch.testing.assert_close(state["h"][:, k], last["h"])
        expected = expected + alone.square().sum() + last["h"].sum()
    torch.testing.assert_close(found, gradients(layer, expected))
    print(f"{name}: a batch padded with NaN is its sequences one by one, gradients too")
