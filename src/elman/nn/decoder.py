"""One to many: a layer that writes a sequence, each step reading what the step before wrote."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import torch

from elman.errors import NameProblem, ShapeProblem
from elman.nn.attention import Attention, Memory
from elman.nn.carried import forgetting, kept, remembering, rows_of
from elman.nn.counted import counted
from elman.nn.decoder_given import (
    check_embedding,
    check_layer,
    check_sizes,
    check_token,
    check_tokens,
    one_count,
    probability,
    read_out_of,
)
from elman.nn.driven import Inputs, is_batch_first, kind_of
from elman.nn.frozen import packed_once
from elman.nn.generation import stacked, written
from elman.nn.given import check_alike, check_device, check_switches, check_tensor
from elman.nn.search import Generated, Search, Writing, check_generator
from elman.nn.timed import at_step, by_name, check_steps, counts

Tensor: TypeAlias = torch.Tensor
Found: TypeAlias = tuple[Tensor, Any, Tensor | None]


class Carry(NamedTuple):
    """What one step of a decoder hands to the next."""

    state: Any  # in the layer's own form
    context: Tensor | None = None  # of the attention, where it is fed


class Told(NamedTuple):
    """What a decoder is told of all its steps."""

    memory: Memory | None
    inputs: Inputs
    lengths: Any  # of the targets
    within: Tensor | None  # which steps they are, (T, B)


class Decoder(torch.nn.Module):
    """A layer that writes a sequence: what it wrote last is what it reads next.

    >>> embedding = torch.nn.Embedding(10, 8)
    >>> decoder = Decoder(torch.nn.GRU(8, 16), embedding, start=0, end=1)
    >>> targets = torch.randint(2, 10, (5, 3))  # (T, B)
    >>> logits, state, _ = decoder(targets)  # each step reads the target before
    >>> loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    >>> decoder.generate(state, max_steps=4, min_steps=4).sequences.shape
    torch.Size([4, 3])

    Args:
        layer: `Recurrent`, `RNN`, `LSTM`, `GRU`, or one of torch's layers or cells, one direction.
            It reads embedding_dim numbers, and with input feeding the context behind them.
        embedding: what a token is to the layer; None for a sequence of vectors, where the read-out
            itself is read next, and the first step reads `start` or zeros.
        output_size: of the read-out; the number of tokens, or what the layer reads, unless told.
        attention: an `Attention` that asks `memory` with the layer's output; what is read out is
            then tanh(W [output, context]), as Luong has it.
        input_feeding: the layer reads the context of the step before too, 0 at the first.
        read_out: a module of your own from the output, or [output, context], to the logits.
        tie_weights: the read-out has the weights of the embedding.
        start, end: the token that the first step reads, and the one that ends a sequence.

    Sequences are (T, B), or (B, T) where the layer is batch_first, as is `memory`.

    Errors: E218 where sizes clash, E413 to E419, each with its fix.

    Source: Sutskever, Vinyals, Le, arXiv:1409.3215; Luong, Pham, Manning, arXiv:1508.04025;
    tied weights: Press and Wolf, arXiv:1608.05859.
    """

    def __init__(
        self,
        layer: torch.nn.Module,
        embedding: torch.nn.Embedding | None = None,
        output_size: int | None = None,
        *,
        attention: Attention | None = None,
        input_feeding: bool = False,
        read_out: torch.nn.Module | None = None,
        tie_weights: bool = False,
        start: Any = None,
        end: int | None = None,
    ) -> None:
        super().__init__()
        self._kind = kind_of(layer)
        check_embedding(embedding)
        check_layer(layer, attention, input_feeding, self._kind.size(layer))
        self.layer, self.embedding, self.attention = layer, embedding, attention
        self.input_feeding, self.start, self.end = input_feeding, start, end
        check_switches(self)
        self.batch_first = is_batch_first(layer)
        context = 0 if attention is None else attention.key_size
        self.context_size = context if input_feeding else 0
        reads: Any = layer.input_size
        self.value_size = reads - self.context_size  # of what a step wrote, as the layer reads it
        tokens = None if embedding is None else embedding.num_embeddings
        written: Any = self.value_size if tokens is None else tokens
        self.output_size = written if output_size is None else output_size
        check_sizes(self, embedding, read_out, tie_weights)
        self.join, self.read_out = read_out_of(self, context, read_out, tie_weights)

    def forward(
        self,
        targets: Tensor,
        state: Any = None,
        memory: Tensor | Memory | None = None,
        *,
        memory_lengths: Any = None,
        memory_mask: Any = None,
        teacher_forcing: float = 1.0,
        start: Any = None,
        generator: torch.Generator | None = None,
        inputs: Inputs | None = None,
        lengths: Any = None,
    ) -> Found:
        """What is said of each target: (logits (T, B, output_size), state, attention's weights).

        Step t reads the target before, the first one `start`: logits and targets stand side by
        side. A negative target, such as the -100 that `cross_entropy` ignores, is read as 0.

        Each step of each sequence reads the target with the probability `teacher_forcing`, else
        what the decoder itself wrote: its likeliest token, or its vector. With 1, and no input
        feeding, all steps are one call of the layer. `inputs` are those of the cell by name, with T
        steps where they vary over time. Behind `lengths` (B), of the targets, logits and weights
        are 0, and a state is that of its sequence's last step.
        """
        p = probability(teacher_forcing)
        check_generator(generator)
        asked = self.prepare(memory, memory_lengths, memory_mask)
        steps = self._steps(targets)
        one_count({"targets": steps.shape[1], "the memory": len(asked.keys) if asked else None})
        within = counted((steps.shape[0], steps.shape[1]), lengths, None, steps.device)
        told = Told(asked, by_name(inputs), lengths, within)
        given = self._given(steps, start, within)
        if p == 1.0 and not self.input_feeding:
            logits, weights, state = self._by_call(given, state, told)
        else:
            logits, weights, state = self._by_steps(given, state, told, p, generator)
        logits, weights = (self._given_back(each, within) for each in (logits, weights))
        return logits, state, weights

    def _given_back(self, whole: Any, within: Tensor | None) -> Any:
        """What is said of all steps, (T, B, size), as `forward` gives it."""
        if whole is not None and within is not None:
            whole = whole.masked_fill(~within[:, :, None], 0.0)
        return whole.transpose(0, 1) if whole is not None and self.batch_first else whole

    def _by_call(self, given: Tensor, state: Any, told: Told) -> tuple[Tensor, Tensor | None, Any]:
        """All steps in one call of the layer: logits (T, B, output_size), weights, state."""
        x = self._embedded(given)
        output, state, *_ = self._kind.run(self.layer, x, state, told.lengths, told.inputs)
        features, weights = self._features(output.transpose(0, 1), told.memory)
        weights = None if weights is None else weights.transpose(0, 1)
        return self.read_out(features).transpose(0, 1), weights, state

    def _by_steps(
        self, given: Tensor, state: Any, told: Told, p: float, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None, Any]:
        """The same step after step, each reading a target or what the step before wrote."""
        check_steps(self.layer, told.inputs, len(given))
        features, logits, weights = [], [], []
        token, carry = given[0], Carry(remembering(self.layer, state))
        for t in range(len(given)):
            now = at_step(self.layer, told.inputs, t)
            feature, seen, after = self.advance(token, carry, told.memory, now)
            if told.within is not None:
                state = kept(self.layer, told.within[t], after.state, carry.state)
                after = after._replace(state=state)
            carry = after
            features.append(feature)
            weights.append(seen)
            if p == 1.0:
                token = given[min(t + 1, len(given) - 1)]
                continue
            logits.append(self.read_out(feature))
            if t + 1 < len(given):
                token = self._drawn(given[t + 1], logits[-1], p, generator)
        said = torch.stack(logits) if logits else self.read_out(torch.stack(features))
        return said, stacked(weights), forgetting(self.layer, carry.state)

    def _drawn(
        self, target: Tensor, logits: Tensor, p: float, generator: torch.Generator | None
    ) -> Tensor:
        """The target with probability p, else what is likeliest by the logits, or these."""
        where = target.device if generator is None else generator.device
        told = torch.rand(len(target), generator=generator, device=where) < p
        own = logits if self.embedding is None else logits.argmax(-1)
        told = told.to(target.device).reshape(-1, *[1] * (own.dim() - 1))
        return torch.where(told, target, own)

    def advance(
        self, token: Tensor, carry: Carry, memory: Memory | None, inputs: Inputs
    ) -> tuple[Tensor, Tensor | None, Carry]:
        """One step: what is read out of, (R, size), the weights (R, S), and what the next needs.

        Of N rows for each sequence of the memory, those of one sequence lie side by side.
        """
        x = self._embedded(token)
        if self.context_size:
            context = carry.context
            zero = x.new_zeros(len(x), self.context_size) if context is None else context
            x = torch.cat([x, zero], dim=-1)
        output, state = self._kind.step(self.layer, x, carry.state, inputs)
        if memory is None or self.attention is None:
            return self.join(output), None, Carry(state)
        query = output.unflatten(0, (len(memory.keys), -1))  # (B, N, H)
        context, weights = self.attention.attend(query, memory)
        context, weights = context.flatten(0, 1), weights.flatten(0, 1)
        return self.join(torch.cat([output, context], dim=-1)), weights, Carry(state, context)

    def _features(self, output: Tensor, memory: Memory | None) -> tuple[Tensor, Tensor | None]:
        """What is read out of all steps at once, (B, T, size), and the weights (B, T, S)."""
        if memory is None or self.attention is None:
            return self.join(output), None
        context, weights = self.attention.attend(output, memory)
        return self.join(torch.cat([output, context], dim=-1)), weights

    def prepare(
        self, memory: Tensor | Memory | None, lengths: Any = None, mask: Any = None
    ) -> Memory | None:
        """The memory as the attention needs it, computed once; E416 where there is none."""
        if (memory is None) != (self.attention is None):
            has = "attends to a memory" if memory is None else "has no attention"
            given = "none is given" if memory is None else "a memory is given"
            fix = "Pass memory=..., the encoder's output." if memory is None else None
            fix = fix or "Make it with attention=elman.nn.Attention(hidden_size, memory_size)."
            raise NameProblem("E416", f"the decoder {has}, and {given}", fix=fix)
        if memory is None or self.attention is None:
            return None
        if isinstance(memory, Memory):
            return memory.checked(lengths, mask)
        check_tensor("memory", memory)
        check_alike({"memory": memory}, next(self.parameters(), None), "the decoder's weights")
        if memory.dim() == 3 and self.attention.batch_first != self.batch_first:
            memory = memory.transpose(0, 1)
            mask = None if mask is None else torch.as_tensor(mask).T
        return self.attention.prepare(memory, lengths=lengths, mask=mask)

    def _steps(self, targets: Tensor) -> Tensor:
        """The targets, (T, B) or (T, B, size)."""
        check_tensor("targets", targets)
        like = next(self.parameters(), None)
        check_device({"targets": targets}, like, whose="the decoder's weights")
        axes = 2 if self.embedding is not None else 3
        is_right = targets.dim() == axes and targets.numel()
        if self.embedding is None:
            is_right = is_right and targets.shape[-1] == self.value_size
        if not is_right or (targets.is_floating_point() == (self.embedding is not None)):
            lead = "B, T" if self.batch_first else "T, B"
            wanted = f"({lead})" if axes == 2 else f"({lead}, {self.value_size})"
            what = "tokens, whole numbers" if axes == 2 else "vectors"
            given = f"targets is {tuple(targets.shape)} of {targets.dtype}"
            raise ShapeProblem(
                "E218",
                f"{given}, and the decoder needs {what} {wanted}",
                rule="The targets are what is to be written: each step reads the one before.",
            )
        return targets.transpose(0, 1) if self.batch_first else targets

    def _given(self, steps: Tensor, start: Any, within: Tensor | None) -> Tensor:
        """What the steps read with teacher forcing: `start`, and all targets but the last."""
        if within is not None:  # what is behind a length may hold anything: 0 * NaN is NaN
            hidden = ~within if self.embedding is not None else ~within[:, :, None]
            steps = steps.masked_fill(hidden, 0)
        if self.embedding is not None:
            steps, tokens = steps.clamp(min=0), self.embedding.num_embeddings
            fix = "Pass lengths=, or targets of -100, where there is padding."
            check_tokens("targets", steps, tokens, fix=fix, is_turned=self.batch_first)
        one_count({"targets": steps.shape[1], "start": self._starts(start)})
        first = self.first(steps.shape[1], start, steps)
        return torch.cat([first[None], steps[:-1]])

    def _starts(self, start: Any) -> int | None:
        """How many sequences `start` has something for, None where it is one for all; checked."""
        start = self.start if start is None else start
        if self.embedding is not None:
            check_token("start", start, self.embedding.num_embeddings)
            found = torch.as_tensor(start)
            return len(found) if found.dim() else None
        found = torch.as_tensor(0.0 if start is None else start)
        if found.dim() > 2 or (found.dim() and found.shape[-1] != self.value_size):
            headline = f"start is {tuple(found.shape)}, and a step reads {self.value_size} numbers"
            fix = f"Pass ({self.value_size},), or (B, {self.value_size}) for each sequence its own."
            raise ShapeProblem("E218", headline, fix=fix)
        return len(found) if found.dim() == 2 else None

    def first(self, rows: int, start: Any, like: Tensor) -> Tensor:
        """What the first step reads: (B) tokens, or vectors (B, size)."""
        start = self.start if start is None else start
        if self.embedding is not None:
            token = torch.as_tensor(start, device=like.device)
            return token.to(torch.long).expand(rows)
        if start is None:
            return like.new_zeros(rows, self.value_size)
        vector = torch.as_tensor(start, device=like.device, dtype=like.dtype)
        return vector.expand(rows, self.value_size)

    def _embedded(self, given: Tensor) -> Tensor:
        return given if self.embedding is None else self.embedding(given)

    def generate(
        self,
        state: Any = None,
        memory: Tensor | Memory | None = None,
        *,
        max_steps: int,
        memory_lengths: Any = None,
        memory_mask: Any = None,
        start: Any = None,
        end: int | None = None,
        inputs: Inputs | None = None,
        **search: Any,
    ) -> Generated:
        """A sequence written step by step until `end`, or `max_steps`; a `Generated`.

        >>> torch.manual_seed(0)
        <torch._C.Generator object at ...>
        >>> decoder = Decoder(torch.nn.GRU(8, 16), torch.nn.Embedding(10, 8), start=0, end=1)
        >>> best = decoder.generate(max_steps=4, method="beam", beam_size=3)
        >>> best.sequences.shape, best.lengths.tolist()
        (torch.Size([4, 1]), [...])

        `search` is what `Search` takes: method="greedy", "sample" (temperature, top_k, top_p,
        generator) or "beam" (beam_size, length_penalty, n_best), each with banned, min_steps and
        no_repeat_ngram_size. Nothing is differentiated; call `eval()` first where the layer has
        dropout. Inputs that vary over time have max_steps steps or more.
        """
        how = Search.of(search)
        with torch.no_grad(), packed_once(self.layer):
            asked = self.prepare(memory, memory_lengths, memory_mask)
            task = self._task(state, asked, start, by_name(inputs), max_steps, end)
            found = written(task, how)
        return found.turned() if self.batch_first else found

    def _task(
        self,
        state: Any,
        memory: Memory | None,
        start: Any,
        inputs: Inputs,
        max_steps: int,
        end: int | None,
    ) -> Writing:
        """What is to be written, for as many sequences as whatever is given says, else for one."""
        end = self.end if end is None else end
        if self.embedding is not None and end is not None:
            check_token("end", end, self.output_size, axes=0)
        known = {
            "the state": rows_of(self.layer, state),
            "the memory": None if memory is None else len(memory.keys),
            "start": self._starts(start),
        }
        rows = one_count(known | counts(self.layer, inputs, "rows"))
        like: Any = next(self.parameters(), torch.empty(0))
        first = self.first(rows or 1, start, like)
        return Writing(self, first, Carry(state), memory, inputs, max_steps, end)

    def extra_repr(self) -> str:
        """What is no module of its own."""
        words = ["input_feeding=True"] * self.input_feeding
        words += [f"{name}={getattr(self, name)!r}" for name in ("start", "end")]
        return ", ".join(words)
