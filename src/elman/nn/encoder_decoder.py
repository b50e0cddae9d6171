"""Delayed many to many: an encoder reads a sequence, and a decoder writes another one."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import torch

from elman.errors import NameProblem, ShapeProblem
from elman.nn.counted import counted
from elman.nn.decoder import Decoder
from elman.nn.decoder_given import check_embedding, check_part, check_tokens
from elman.nn.driven import Composed, Inputs, StateForm, check_driven, is_batch_first, kind_of
from elman.nn.given import check_device
from elman.nn.recurrent import Recurrent
from elman.nn.search import Generated
from elman.nn.timed import by_name

Tensor: TypeAlias = torch.Tensor


LAYERS = torch.nn.RNNBase | torch.nn.RNNCellBase | Recurrent | Composed


class Encoder(torch.nn.Module):
    """A layer that reads sequences of tokens, or of vectors: its outputs and its last state.

    >>> layer = torch.nn.GRU(8, 16, bidirectional=True)
    >>> encoder = Encoder(layer, torch.nn.Embedding(10, 8))
    >>> memory, state = encoder(torch.randint(10, (5, 3)), lengths=[5, 2, 4])
    >>> memory.shape, state.shape
    (torch.Size([5, 3, 32]), torch.Size([2, 3, 16]))

    Args:
        layer: `Recurrent`, `RNN`, `LSTM`, `GRU`, or one of torch's layers or cells.
        embedding: what a token is to the layer; None for a sequence of vectors.

    Behind the length of a sequence the memory is 0; the state is that of its last step. Whoever
    writes an encoder of another kind gives it this call: `encoder(source, lengths)`.

    Errors: E218 where sizes clash, E417 for what is no layer, E418 for what is no token.
    """

    def __init__(self, layer: torch.nn.Module, embedding: torch.nn.Embedding | None = None) -> None:
        super().__init__()
        self._kind = kind_of(layer)
        check_driven(layer, "An encoder")
        check_embedding(embedding)
        self.layer, self.embedding = layer, embedding
        self.batch_first = is_batch_first(layer)
        self.output_size = self._kind.size(layer)
        reads: Any = layer.input_size
        if embedding is not None and embedding.embedding_dim != reads:
            width = embedding.embedding_dim
            headline = f"the embedding has {width} numbers, and the encoder's layer reads {reads}"
            fix = f"Make the layer with input_size={width}."
            raise ShapeProblem("E218", headline, fix=fix)

    def forward(
        self, source: Tensor, lengths: Any = None, state: Any = None, inputs: Inputs | None = None
    ) -> tuple[Tensor, Any]:
        """The output of every step, (S, B, size), and the last state in the layer's own form."""
        axes = 3 if self.embedding is None else 2
        if not isinstance(source, torch.Tensor) or source.dim() != axes or not source.numel():
            lead = "B, S" if self.batch_first else "S, B"
            wanted = f"tokens ({lead})" if axes == 2 else f"vectors ({lead}, size)"
            given = getattr(source, "shape", type(source).__name__)
            given = tuple(given) if isinstance(given, torch.Size) else given
            headline = f"the source is {given}, and the encoder needs {wanted}"
            rule = "S steps, B sequences (B, S where the layer is batch_first)."
            raise ShapeProblem("E218", headline, rule=rule)
        like = next(self.parameters(), None)
        check_device({"source": source}, like, whose="the encoder's weights")
        x = source.transpose(0, 1) if self.batch_first else source
        within = counted((x.shape[0], x.shape[1]), lengths, None, x.device)
        if within is not None:  # what is behind a length may hold anything: 0 * NaN is NaN
            x = x.masked_fill(~within if axes == 2 else ~within[:, :, None], 0)
        if self.embedding is not None:
            self._check_tokens(x)
            x = self.embedding(x)
        memory, after, *_ = self._kind.run(self.layer, x, state, lengths, by_name(inputs))
        return (memory.transpose(0, 1) if self.batch_first else memory), after

    def _check_tokens(self, x: Tensor) -> None:
        """E218 and E418 for what the embedding cannot look up."""
        if x.is_floating_point():
            fix = "Pass source.long(), or make the encoder without an embedding."
            headline = f"the source is {x.dtype}, and the encoder needs tokens, whole numbers"
            raise ShapeProblem("E218", headline, fix=fix)
        tokens = getattr(self.embedding, "num_embeddings", None)
        if tokens is not None:
            fix = "Pass lengths= where there is padding."
            check_tokens("source", x, tokens, fix=fix, is_turned=self.batch_first)


class Bridge(torch.nn.Module):
    """The first state of a decoder from the last one of an encoder: tanh(W [all layers] + b).

    >>> bridge = Bridge(torch.nn.GRU(8, 16, bidirectional=True), torch.nn.LSTM(8, 20))
    >>> h, c = bridge(torch.zeros(2, 3, 16))
    >>> h.shape, c.shape
    (torch.Size([1, 3, 20]), torch.Size([1, 3, 20]))

    Each state of the decoder's layer, all layers of it at once, is learned from the encoder's state
    of the same name, all its layers and both directions joined; from its first where none is
    called so.

    Errors: E417 where the encoder's layer has no state.
    """

    def __init__(self, encoder: torch.nn.Module, decoder: torch.nn.Module) -> None:
        super().__init__()
        self._given, self._wanted = StateForm.of(encoder), StateForm.of(decoder)
        given, wanted = self._given.shapes, self._wanted.shapes
        if wanted and not given:
            fix = "Pass bridge=False: the decoder then begins at 0."
            raise NameProblem("E417", "the encoder's layer has no state to hand on", fix=fix)
        self._read = {name: name if name in given else next(iter(given)) for name in wanted}
        like = next(decoder.parameters(), torch.empty(0))
        self.maps = torch.nn.ModuleDict()
        for name, shape in wanted.items():
            size = math.prod(given[self._read[name]])
            linear = torch.nn.Linear(size, math.prod(shape), device=like.device, dtype=like.dtype)
            self.maps[_key(name)] = linear

    def forward(self, state: Any) -> Any:
        """A state in the form of the decoder's layer."""
        given = self._given.read(state)
        found = {}
        for name, shape in self._wanted.shapes.items():
            joined = given[self._read[name]].transpose(0, 1).flatten(1)  # (B, all layers)
            made = self.maps[_key(name)](joined).tanh()
            found[name] = made.unflatten(1, shape).transpose(0, 1)
        return self._wanted.write(found)


def _key(state: str) -> str:
    """The name of the module that makes a state."""
    return f"to_{state.replace('.', '_')}"


class EncoderDecoder(torch.nn.Module):
    """A network that reads one sequence and writes another: translation, captions, reversal.

    >>> from elman.nn import GRU, Attention
    >>> def embedding():
    ...     return torch.nn.Embedding(10, 8)
    >>> encoder = Encoder(GRU(8, 16, bidirectional=True), embedding())
    >>> attention = Attention(query_size=16, key_size=32)
    >>> decoder = Decoder(GRU(8, 16), embedding(), attention=attention, start=0, end=1)
    >>> model = EncoderDecoder(encoder, decoder)
    >>> source, targets = torch.randint(2, 10, (5, 3)), torch.randint(2, 10, (4, 3))
    >>> logits, state, weights = model(source, targets, [5, 2, 4])
    >>> logits.shape, weights.shape
    (torch.Size([4, 3, 10]), torch.Size([4, 3, 5]))
    >>> model.generate(source, [5, 2, 4], max_steps=6, method="beam").lengths.shape
    torch.Size([3])

    Args:
        encoder: an `Encoder`, a layer, or a module of your own with
            `encoder(source, lengths) -> (memory, state)`.
        decoder: a `Decoder`; with an attention it looks at the encoder's outputs.
        bridge: a module from the encoder's last state to the decoder's first; None for the state
            as it is where it fits, else a `Bridge`; False for none: the decoder begins at 0.

    Errors: E218 where sizes clash.

    Source: Sutskever, Vinyals, Le, arXiv:1409.3215; Cho et al., arXiv:1406.1078.
    """

    def __init__(self, encoder: torch.nn.Module, decoder: Decoder, bridge: Any = None) -> None:
        super().__init__()
        fix = "Pass an Encoder, a layer, or a module that gives (memory, state)."
        check_part("encoder", encoder, "__call__", "module", fix)
        fix = "As in Decoder(layer, torch.nn.Embedding(10, 8), start=0, end=1)."
        check_part("decoder", decoder, "attention", "Decoder", fix)
        if bridge is not False:
            fix = "Pass None for a bridge where one is needed, False for none."
            check_part("bridge", bridge, "__call__", "module", fix)
        is_layer = isinstance(encoder, LAYERS)
        self.encoder = Encoder(encoder) if is_layer else encoder
        self.decoder = decoder
        size = getattr(self.encoder, "output_size", None)
        if decoder.attention is not None and size not in (None, decoder.attention.key_size):
            headline = f"the encoder gives {size} numbers a step, and attention's key_size is "
            rule = "What the attention looks at is the encoder's output, of all its directions."
            raise ShapeProblem("E218", f"{headline}{decoder.attention.key_size}", rule=rule)
        if bridge is False and decoder.attention is None:
            fix = "Give the decoder an attention, or leave the bridge out."
            raise NameProblem("E416", "the decoder sees nothing of the source", fix=fix)
        self._form = None
        if bridge is None and isinstance(self.encoder, Encoder):
            self._form = StateForm.of(self.encoder.layer)
            if self._form != StateForm.of(decoder.layer):
                bridge = Bridge(self.encoder.layer, decoder.layer)
        self.bridge = bridge

    def encode(self, source: Tensor, lengths: Any = None) -> tuple[Tensor | None, Any]:
        """What the decoder takes of a source: the memory, if it has an attention, and the state."""
        memory, state = self.encoder(source, lengths)
        if self.bridge is False:
            state = None
        elif self.bridge is not None:
            state = self.bridge(state)
        elif self._form is not None:  # without what a cell has drawn
            state = self._form.write(self._form.read(state))
        if self.decoder.attention is None:
            return None, state
        turned = is_batch_first(self.encoder) != self.decoder.batch_first
        return (memory.transpose(0, 1) if turned else memory), state

    def forward(
        self,
        source: Tensor,
        targets: Tensor,
        lengths: Any = None,
        *,
        target_lengths: Any = None,
        **options: Any,
    ) -> tuple[Tensor, Any, Tensor | None]:
        """As `Decoder.forward`, with its options: (logits, state, attention's weights).

        `lengths` are those of the sources.
        """
        memory, state = self.encode(source, lengths)
        asked = self.decoder.prepare(memory, lengths)
        options["lengths"] = target_lengths
        found: tuple[Tensor, Any, Tensor | None] = self.decoder(targets, state, asked, **options)
        return found

    def generate(self, source: Tensor, lengths: Any = None, **options: Any) -> Generated:
        """As `Decoder.generate`, with its options: the sequences that answer the sources."""
        with torch.no_grad():
            memory, state = self.encode(source, lengths)
            asked = self.decoder.prepare(memory, lengths)
            return self.decoder.generate(state, asked, **options)
