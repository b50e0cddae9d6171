"""What a decoder is made of, checked: its layer, sizes, tokens, and numbers of sequences."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch

from elman.errors import NameProblem, ShapeProblem
from elman.nn.composed import reads_backwards
from elman.nn.counted import is_seen
from elman.nn.driven import check_driven, kind_of
from elman.nn.given import check_size

if TYPE_CHECKING:
    from elman.nn.decoder import Decoder


def check_part(name: str, given: Any, has: str, kind: str, fix: str) -> None:
    """E218 for a part without that attribute."""
    if given is not None and not hasattr(given, has):
        raise ShapeProblem("E218", f"{name} is {type(given).__name__}, no {kind}", fix=fix)


def check_embedding(given: Any) -> None:
    """E218 for what cannot look up tokens."""
    count = given if isinstance(given, int) else 10
    fix = f"Pass torch.nn.Embedding({count}, size): a vector for each of {count} tokens."
    check_part("embedding", given, "embedding_dim", "Embedding", fix)


def check_layer(layer: Any, attention: Any, input_feeding: bool, size: int) -> None:
    """E417 for a layer that cannot write; E416 and E218 for an attention that does not fit."""
    check_driven(layer, "A decoder")
    if reads_backwards(layer):
        raise NameProblem(
            "E417",
            "the decoder's layer has two directions",
            rule="What is written next cannot be read before.",
            fix="Make the layer with bidirectional=False.",
        )
    score = f", {attention!r}" if isinstance(attention, str) else ""
    fix = f"Pass elman.nn.Attention({size}, memory_size{score})."
    check_part("attention", attention, "query_size", "Attention", fix)
    if attention is None and input_feeding:
        fix = "Pass attention=elman.nn.Attention(hidden_size, memory_size)."
        raise NameProblem("E416", "input_feeding feeds the attention's context", fix=fix)
    if attention is not None and attention.query_size != size:
        headline = f"the layer gives {size} numbers, and attention's query_size is "
        rule = "The attention is asked with the layer's output."
        raise ShapeProblem("E218", f"{headline}{attention.query_size}", rule=rule)


def check_sizes(decoder: Decoder, embedding: Any, read_out: Any, tie_weights: bool) -> None:
    """E218 where the layer does not read what it is given, or would read its own read-out."""
    check_size("output_size", decoder.output_size)
    check_part("read_out", read_out, "__call__", "module", "As in torch.nn.Linear(256, 50).")
    reads, context = decoder.layer.input_size, decoder.context_size
    width = decoder.output_size if embedding is None else embedding.embedding_dim
    if reads != width + context:
        parts = "the read-out" if embedding is None else "the embedding"
        given = f"{parts} has {width} numbers" + f" and the context {context}" * bool(context)
        raise ShapeProblem(
            "E218",
            f"{given}, and the layer reads {reads}",
            rule=f"A step reads what the step before wrote{', and its context' * bool(context)}.",
            fix=f"Make the layer with input_size={width + context}.",
        )
    if tie_weights and embedding is None:
        fix = "Pass an embedding, or leave tie_weights out."
        raise NameProblem("E416", "tie_weights without an embedding to tie to", fix=fix)
    if tie_weights and read_out is not None:
        fix = "Leave one of the two out."
        raise NameProblem("E416", "tie_weights with a read_out of its own", fix=fix)
    if tie_weights and decoder.output_size != embedding.num_embeddings:
        headline = f"the embedding has {embedding.num_embeddings} tokens, "
        rule = "Tied weights have a row for each token."
        raise ShapeProblem("E218", f"{headline}and output_size={decoder.output_size}", rule=rule)
    if embedding is not None and decoder.output_size > embedding.num_embeddings:
        headline = f"output_size={decoder.output_size}, and the embedding has "
        rule = "A step reads what the step before wrote, whichever token it is."
        fix = f"Make the embedding of {decoder.output_size} tokens."
        tokens = f"{embedding.num_embeddings} tokens"
        raise ShapeProblem("E218", headline + tokens, rule=rule, fix=fix)


def read_out_of(
    decoder: Decoder, context: int, read_out: torch.nn.Module | None, tie_weights: bool
) -> tuple[torch.nn.Module, torch.nn.Module]:
    """What joins output and context, and what reads the logits out of that."""
    if read_out is not None:
        return torch.nn.Identity(), read_out
    hidden = kind_of(decoder.layer).size(decoder.layer)
    embedding = decoder.embedding
    width = embedding.embedding_dim if embedding is not None and tie_weights else hidden
    like = next(decoder.layer.parameters(), None)  # none are learned where all are frozen
    make: Any = {} if like is None else {"device": like.device, "dtype": like.dtype}
    join: torch.nn.Module = torch.nn.Identity()
    if context:
        linear = torch.nn.Linear(hidden + context, width, **make)
        join = torch.nn.Sequential(linear, torch.nn.Tanh())
    elif width != hidden:
        join = torch.nn.Linear(hidden, width, **make)
    found = torch.nn.Linear(width, decoder.output_size, **make)
    if tie_weights and embedding is not None:
        found.weight = embedding.weight
    return join, found


def check_token(name: str, given: Any, tokens: int, axes: int = 1) -> None:
    """E418 for what is neither a token nor, with one axis, a token for each sequence."""
    if given is None:
        raise NameProblem(
            "E418",
            f"no {name} is given",
            rule="The first step reads a token that says that a sequence begins.",
            fix="Make the decoder with start=..., a token of the embedding.",
        )
    if not _is_token(given, tokens, axes):
        rule = f"A token is a whole number from 0 to {tokens - 1}."
        shape = tuple(getattr(given, "shape", ()))
        headline = f"{name} is {shape}" if len(shape) > axes else f"{name}={given!r}"
        raise NameProblem("E418", headline, rule=rule)


def _is_token(given: Any, tokens: int, axes: int) -> bool:
    if isinstance(given, int):
        return 0 <= given < tokens
    try:
        found = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        return False
    if found.is_floating_point() or found.dim() > axes:
        return False
    return not is_seen() or bool(((found >= 0) & (found < tokens)).all())


def check_tokens(
    name: str, given: torch.Tensor, tokens: int, *, fix: str, is_turned: bool = False
) -> None:
    """E418 for an entry of tokens (T, B) that is none; a turned name is of (B, T)."""
    if not is_seen() or given.is_meta:
        return
    wrong = (given < 0) | (given >= tokens)
    if wrong.any():
        t, b = map(int, wrong.nonzero()[0])
        entry = f"{name}[{b}, {t}]" if is_turned else f"{name}[{t}, {b}]"
        rule = f"A token is a whole number from 0 to {tokens - 1}."
        raise NameProblem("E418", f"{entry} is {int(given[t, b])}", rule=rule, fix=fix)


def one_count(known: Mapping[str, int | None]) -> int | None:
    """The number of sequences that all agree on; E211 where they differ."""
    said = {name: count for name, count in known.items() if count is not None}
    if len(set(said.values())) > 1:
        words = ", ".join(f"{name} {count}" for name, count in said.items())
        rule = "Each sequence has a state and a memory of its own."
        raise ShapeProblem("E211", f"sequences: {words}", rule=rule)
    return next(iter(said.values()), None)


def probability(given: Any) -> float:
    if not isinstance(given, Real) or not 0.0 <= given <= 1.0:  # type: ignore[operator]
        raise NameProblem(
            "E419",
            f"teacher_forcing={given!r}",
            rule="It is the probability to read the target, from 0 to 1.",
        )
    return float(given)  # type: ignore[arg-type]
