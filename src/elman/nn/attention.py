"""Attention: which steps of a sequence a query looks at, and what it sees there."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import torch

from elman.errors import NameProblem, ShapeProblem, nearest
from elman.nn import autocast
from elman.nn.counted import as_mask, counted, masked_softmax
from elman.nn.given import check_alike, check_size, check_switches, check_tensor

Tensor: TypeAlias = torch.Tensor
SCORES = ("additive", "general", "dot", "scaled_dot")
CALLED = {  # what else they are called
    **dict.fromkeys(("bahdanau", "concat", "mlp"), 'It is score="additive".'),
    **dict.fromkeys(("luong", "multiplicative", "bilinear"), 'It is score="general".'),
}


class Memory(NamedTuple):
    """A sequence made ready to be looked at, by `Attention.prepare`: sequences first."""

    keys: Tensor  # (B, S, size of a score)
    values: Tensor  # (B, S, V)
    mask: Tensor | None  # (B, 1, S), which steps count

    def checked(self, lengths: Any, mask: Any, values: Any = None) -> Memory:
        """It; E415 and E218 for what is said again of steps and values that are known."""
        if lengths is not None or mask is not None:
            name = "mask" if lengths is None else "lengths"
            headline = f"{name} of keys that are prepared"
            rule = "What is prepared knows which of its steps count."
            fix = f"Pass it to prepare: attention.prepare(keys, {name}={name})."
            raise NameProblem("E415", headline, rule=rule, fix=fix)
        if values is not None:
            fix = "Pass them to prepare: attention.prepare(keys, values)."
            raise ShapeProblem("E218", "values beside keys that are prepared", fix=fix)
        return self


class Attention(torch.nn.Module):
    """What queries see in a sequence: the average of its values, weighted by a learned score.

    >>> attention = Attention(query_size=5, key_size=3)
    >>> context, weights = attention(torch.zeros(2, 5), torch.randn(4, 2, 3), lengths=[4, 1])
    >>> context.shape, weights.shape, weights[1]
    (torch.Size([2, 3]), torch.Size([2, 4]), tensor([1., 0., 0., 0.], grad_fn=<SelectBackward0>))

    Args:
        query_size, key_size: the sizes of a query, such as a decoder's state, and of a key.
        score: how a query q and a key k are compared:

            "additive"     v . tanh(W q + U k + b), of Bahdanau; Luong's "concat" is the same
            "general"      q . W k, of Luong; also called multiplicative
            "dot"          q . k
            "scaled_dot"   q . k / sqrt(key_size)

        hidden_size: the size of v in "additive"; that of the query unless told.
        batch_first: sequences are (B, T, size), not (T, B, size).

    Shapes: query (B, Q) for one step or (T, B, Q) for all; keys (S, B, K), values (S, B, V), the
    keys unless told; context (B, V) or (T, B, V); weights (B, S) or (T, B, S), for a plot. One
    sequence without a batch: query (Q) or (T, Q), keys (S, K).

    `lengths` (B), or a `mask` (S, B) of the keys that count: others have weight 0 whatever they
    hold, NaN included; where none counts, the context is 0.

    Errors: E218 where sizes clash, E413 for an unknown score, E415 and E428 for masks and lengths.

    Source: Bahdanau, Cho, Bengio, arXiv:1409.0473; Luong, Pham, Manning, arXiv:1508.04025.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        score: str = "additive",
        *,
        hidden_size: int | None = None,
        batch_first: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.hidden_size = query_size if hidden_size is None else hidden_size
        check_size("query_size", query_size)
        check_size("key_size", key_size)
        check_size("hidden_size", self.hidden_size)
        _check_score(score, query_size, key_size)
        self.query_size, self.key_size, self.score = query_size, key_size, score
        self.batch_first = batch_first
        check_switches(self)
        make: Any = {"device": device, "dtype": dtype}
        if score == "additive":
            self.W = torch.nn.Linear(query_size, self.hidden_size, bias=False, **make)
            self.U = torch.nn.Linear(key_size, self.hidden_size, **make)
            self.v = torch.nn.Linear(self.hidden_size, 1, bias=False, **make)
        elif score == "general":
            self.W = torch.nn.Linear(key_size, query_size, bias=False, **make)

    def prepare(
        self, keys: Tensor, values: Tensor | None = None, *, lengths: Any = None, mask: Any = None
    ) -> Memory:
        """Keys and values to be asked often: what is computed of the keys alone, once.

        >>> attention = Attention(5, 3, "general")
        >>> memory = attention.prepare(torch.randn(4, 2, 3))
        >>> context, weights = attention(torch.zeros(2, 5), memory)
        """
        for name, given in (("keys", keys), ("values", keys if values is None else values)):
            check_tensor(name, given)
            self._check_axes(name, given, 3)
            if given.shape[:2] != keys.shape[:2]:
                shapes = f"values are {tuple(given.shape)}, and keys {tuple(keys.shape)}"
                raise ShapeProblem("E218", shapes, rule="Each key has its value.")
        if keys.shape[-1] != self.key_size:
            raise _clash("keys", keys, self.key_size)
        if values is not None:
            check_alike({"values": values}, keys, "the keys")
        check_alike({"keys": keys}, next(self.parameters(), None), "the attention's weights")
        turned = keys.transpose(0, 1)
        lead = (keys if not self.batch_first else turned).shape[:2]
        counts = counted(tuple(lead), lengths, mask, keys.device, is_turned=self.batch_first)
        rows = keys if self.batch_first else turned  # (B, S, K)
        seen = rows if values is None else values if self.batch_first else values.transpose(0, 1)
        if counts is not None:
            hidden = ~counts.T[:, :, None]
            same = seen is rows
            rows = rows.masked_fill(hidden, 0.0)  # 0 * NaN is NaN
            seen = rows if same else seen.masked_fill(hidden, 0.0)
        mask = None if counts is None else counts.T[:, None]
        return Memory(self._keys(rows), seen, mask)

    def _keys(self, rows: Tensor) -> Tensor:
        """What a score takes of a key."""
        if self.score == "additive":
            found: Tensor = self.U(rows)
        elif self.score == "general":
            found = self.W(rows)
        else:
            found = rows / self.key_size**0.5 if self.score == "scaled_dot" else rows
        return found

    def attend(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Context (B, N, V) and weights (B, N, S) of N queries (B, N, Q) for each sequence."""
        if self.score == "additive":
            joined = self.W(query)[:, :, None] + memory.keys[:, None]  # (B, N, S, hidden)
            scores = self.v(joined.tanh()).squeeze(-1)
        else:
            scores = _products(query, memory.keys)  # (B, N, S)
        weights = masked_softmax(scores, memory.mask)
        weights = weights if autocast.is_on() else weights.to(query.dtype)
        return weights @ memory.values, weights

    def forward(
        self,
        query: Tensor,
        keys: Tensor | Memory,
        values: Tensor | None = None,
        *,
        lengths: Any = None,
        mask: Any = None,
    ) -> tuple[Tensor, Tensor]:
        """Context and weights; `keys` may be what `prepare` has made of them."""
        check_tensor("query", query)
        if query.shape[-1] != self.query_size:
            raise _clash("query", query, self.query_size)
        if isinstance(keys, Memory):
            memory = keys.checked(lengths, mask, values)
        else:
            check_tensor("keys", keys)
            if keys.dim() == 2:
                return self._unbatched(query, keys, values, lengths, mask)
            memory = self.prepare(keys, values, lengths=lengths, mask=mask)
        is_step, turn = query.dim() == 2, query.dim() == 3 and not self.batch_first
        if not is_step:
            self._check_axes("query", query, 3)
        check_alike({"query": query}, memory.keys, "the keys")
        asked = query[:, None] if is_step else query.transpose(0, 1) if turn else query
        if asked.shape[0] != len(memory.keys):
            batch = f"{asked.shape[0]} sequences of queries, and {len(memory.keys)} of keys"
            raise ShapeProblem("E218", batch, rule="Each query looks at the keys of its sequence.")
        context, weights = self.attend(asked, memory)
        if is_step:
            return context[:, 0], weights[:, 0]
        return (context.transpose(0, 1), weights.transpose(0, 1)) if turn else (context, weights)

    def _unbatched(
        self, query: Tensor, keys: Tensor, values: Tensor | None, lengths: Any, mask: Any
    ) -> tuple[Tensor, Tensor]:
        """The same for one sequence without a batch."""
        axis = 0 if self.batch_first else 1
        lengths = lengths if lengths is None else [lengths]
        if mask is not None:
            mask = as_mask(mask).unsqueeze(axis)
        if values is not None:
            check_tensor("values", values)
            values = values.unsqueeze(axis)
        memory = self.prepare(keys.unsqueeze(axis), values, lengths=lengths, mask=mask)
        context, weights = self.attend(query.reshape(1, -1, self.query_size), memory)
        lead = query.shape[:-1]
        return context.reshape(*lead, -1), weights.reshape(*lead, -1)

    def _check_axes(self, name: str, given: Tensor, axes: int) -> None:
        if given.dim() != axes:
            wanted = "(B, S, size)" if self.batch_first else "(S, B, size)"
            headline = f"{name} {'is' if name == 'query' else 'are'} {tuple(given.shape)}"
            rule = "S steps, B sequences (B, S with batch_first), then the size."
            raise ShapeProblem("E218", f"{headline}, and the attention needs {wanted}", rule=rule)

    def extra_repr(self) -> str:
        """The arguments."""
        words = f"{self.query_size}, {self.key_size}, {self.score!r}"
        return words + ", batch_first=True" * self.batch_first


def _products(query: Tensor, keys: Tensor) -> Tensor:
    """The score of each query with each key, (B, N, S); a sum too large for float16 is float32."""
    turned = keys.transpose(1, 2)
    if not autocast.multiplies_in_float16(query):
        return query @ turned
    with torch.autocast(query.device.type, enabled=False):
        return query.float() @ turned.float()


def _check_score(score: str, query_size: int, key_size: int) -> None:
    if score not in SCORES:
        found = CALLED.get(str(score).lower()) or nearest(str(score), SCORES)
        raise NameProblem(
            "E413",
            f"score={score!r}",
            rule=f"A query and a key are compared by {', '.join(SCORES)}.",
            fix=found or None,
        )
    if "dot" in score and query_size != key_size:
        raise ShapeProblem(
            "E218",
            f"the query has {query_size} numbers and a key {key_size}",
            rule="A dot product is of two vectors of one size.",
            fix='Take score="general", which learns the map from one to the other.',
        )


def _clash(name: str, given: Tensor, size: int) -> ShapeProblem:
    is_one = name == "query"
    asked = "query_size" if is_one else "key_size"
    return ShapeProblem(
        "E218",
        f"{name} {'is' if is_one else 'are'} {tuple(given.shape)}, and {asked}={size}",
        rule=f"The last axis of the {'query' if is_one else 'keys'} is the size.",
        fix=f"Make the attention with {asked}={given.shape[-1]}." if given.dim() else None,
    )
