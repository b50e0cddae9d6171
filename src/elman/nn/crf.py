"""A linear-chain conditional random field on top of a layer's scores."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from elman.errors import NameProblem, nearest
from elman.nn import chain as chains
from elman.nn import chain_op
from elman.nn.chain import NEVER, Chain, is_plain
from elman.nn.crf_given import Allowed, Given, no_number, no_path, read, read_allowed
from elman.nn.given import check_device, check_size, check_switches, is_count
from elman.nn.search import check_generator
from elman.nn.tag_schemes import constraints

Tensor: TypeAlias = torch.Tensor
REDUCTIONS = ("none", "sum", "mean", "token_mean")


class CRF(torch.nn.Module):
    """Score whole paths of tags: each tag by its step's score, each two in a row by a learned one.

    >>> import torch
    >>> crf = CRF(3)
    >>> emissions = torch.randn(5, 2, 3, requires_grad=True)  # (T, B, num_tags), from a layer
    >>> tags = torch.tensor([[0, 1], [1, 1], [2, 0], [0, 0], [0, 2]])
    >>> (-crf(emissions, tags, lengths=[5, 3])).backward()
    >>> [len(path) for path in crf.decode(emissions, lengths=[5, 3])]
    [5, 3]

    The score of a path is start_transitions[first tag] + the emissions of its tags +
    transitions[tag, next tag] of each two in a row + end_transitions[last tag]; its probability is
    the exponential of that over the sum of all paths'. Names, parameters and results are those of
    pytorch-crf 0.7, so that its import can be changed and its state dict loads.

    Args:
        num_tags: how many tags there are, K.
        batch_first: emissions are (B, T, K), tags and masks (B, T).
        allowed: (K, K) of True and False, [i, j] whether tag j may follow tag i; or what
            `CRF.constraints(labels, "BIO")` makes of names such as "B-PER". What is not allowed has
            probability 0 and is never decoded; its transition is never learned.
        allowed_start, allowed_end: (K), which tags may come first and last.

    Everything takes emissions (T, B, K), or (T, K) of one sequence; `mask` (T, B), on up to each
    sequence's last step, or `lengths` (B), 1 or more. What stands behind a length counts nowhere.
    Inside, sums are float64; what is returned is float64 or float32.

    Errors: E430 to E436, each with its fix.

    Source: Lafferty, McCallum, Pereira, "Conditional random fields" (2001).
    """

    def __init__(
        self,
        num_tags: int,
        batch_first: bool = False,
        *,
        allowed: Any = None,
        allowed_start: Any = None,
        allowed_end: Any = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_size("num_tags", num_tags)
        super().__init__()
        num_tags = int(num_tags)  # NumPy's too
        self.num_tags, self.batch_first = num_tags, batch_first
        check_switches(self)
        made = {"device": device, "dtype": dtype}
        self.start_transitions = torch.nn.Parameter(torch.empty(num_tags, **made))
        self.end_transitions = torch.nn.Parameter(torch.empty(num_tags, **made))
        self.transitions = torch.nn.Parameter(torch.empty(num_tags, num_tags, **made))
        found = read_allowed(num_tags, allowed, allowed_start, allowed_end)
        flags = {"allowed": found.transitions, "allowed_start": found.start}
        for name, each in {**flags, "allowed_end": found.end}.items():
            kept = None if each is None else each.to(device)
            self.register_buffer(name, kept, persistent=False)  # a state dict is pytorch-crf's
        self.reset_parameters()

    constraints = staticmethod(constraints)

    def reset_parameters(self) -> None:
        """All transitions uniform between -0.1 and 0.1."""
        for parameter in (self.start_transitions, self.end_transitions, self.transitions):
            torch.nn.init.uniform_(parameter, -0.1, 0.1)

    def forward(
        self,
        emissions: Tensor,
        tags: Tensor,
        mask: Tensor | None = None,
        reduction: str = "sum",
        *,
        lengths: Any = None,
    ) -> Tensor:
        """The log-likelihood of tags (T, B): its negative is the loss.

        Its `reduction` over sequences is "sum", "mean", "none", which gives (B), or "token_mean",
        the sum over the number of all steps.
        """
        if reduction not in REDUCTIONS:
            raise NameProblem(
                "E436",
                f"reduction={reduction!r}",
                rule=f"It is one of {', '.join(REDUCTIONS)}.",
                fix=nearest(str(reduction), REDUCTIONS) or 'As in reduction="mean".',
            )
        given = self._read(emissions, mask, lengths, tags)
        chain = self._chain(given)
        found = self._score(given, chain) - self._log_partition(given, chain)
        found = found.to(self._dtype(emissions))
        if reduction == "none":
            return found if given.batched else found[0]
        if reduction == "token_mean":
            steps = len(chain.steps) * len(found) if given.lengths is None else given.lengths.sum()
            return found.sum() / steps
        return found.sum() if reduction == "sum" else found.mean()

    def score(
        self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None, *, lengths: Any = None
    ) -> Tensor:
        """The score of each path (T, B): (B)."""
        given = self._read(emissions, mask, lengths, tags)
        return self._each(given, self._score(given, self._chain(given)), emissions)

    def log_partition(
        self, emissions: Tensor, mask: Tensor | None = None, *, lengths: Any = None
    ) -> Tensor:
        """The logarithm of the sum over all paths of the exponentials of their scores: (B)."""
        given = self._read(emissions, mask, lengths)
        return self._each(given, self._log_partition(given, self._chain(given)), emissions)

    def marginals(
        self, emissions: Tensor, mask: Tensor | None = None, *, lengths: Any = None
    ) -> Tensor:
        """The probability of each tag at each step, (T, B, K); 0 behind a length.

        They are differentiable; under `torch.no_grad()` they are found faster.
        """
        given = self._read(emissions, mask, lengths)
        chain = self._possible(given)
        return given.returned(chains.marginals(chain)).to(self._dtype(emissions))

    def pairwise_marginals(
        self, emissions: Tensor, mask: Tensor | None = None, *, lengths: Any = None
    ) -> Tensor:
        """The probability of tag i at t and j at t + 1, (T - 1, B, K, K); 0 behind a length."""
        given = self._read(emissions, mask, lengths)
        chain = self._possible(given)
        return given.returned(chains.marginals(chain, pairs=True)).to(self._dtype(emissions))

    def decode(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        lengths: Any = None,
        n_best: int | None = None,
    ) -> list[Any]:
        """The best path of each sequence, as a list of tags for each.

        With `n_best`, a list of paths for each, the best first, fewer where there are no more. Of
        one sequence without a batch, its path alone.
        """
        given = self._read(emissions, mask, lengths)
        paths, scores = self._best(given, 1 if n_best is None else n_best)
        steps, rows = given.emissions.shape[:2]
        lengths = [steps] * rows if given.lengths is None else given.lengths.tolist()
        listed = paths.permute(2, 0, 1).tolist()  # (B, n, T)
        is_path = (scores > NEVER / 2).T.tolist()
        found = [
            [path[:length] for path, is_one in zip(*each, strict=True) if is_one]
            for *each, length in zip(listed, is_path, lengths, strict=True)
        ]
        found = [each[0] for each in found] if n_best is None else found
        return found if given.batched else found[0]

    def viterbi(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        lengths: Any = None,
        n_best: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The best path of each sequence, (T, B), -1 behind a length, and its score, (B).

        With `n_best`, (n_best, T, B) and (n_best, B), falling; -inf and -1 where there are no more.
        Of equal paths that one comes first which has the lower tag where they differ last.
        """
        given = self._read(emissions, mask, lengths)
        paths, scores = self._best(given, 1 if n_best is None else n_best)
        is_path = scores > NEVER / 2
        paths = torch.where(is_path[:, None] & self._chain(given).is_within, paths, -1)
        scores = torch.where(is_path, scores, -torch.inf).to(self._dtype(emissions))
        paths = given.returned(paths, 1)
        scores = scores if given.batched else scores[:, 0]
        return (paths[0], scores[0]) if n_best is None else (paths, scores)

    def sample(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        lengths: Any = None,
        num_samples: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Paths drawn with their probabilities, (T, B), or (num_samples, T, B); -1 as above."""
        given = self._read(emissions, mask, lengths)
        count = 1 if num_samples is None else _count("num_samples", num_samples)
        check_generator(generator)
        chain = self._possible(given)
        if (
            is_plain(given.emissions)
            and not (finite := self._log_partition(given, chain).isfinite()).all()
        ):
            raise no_number(given, int((~finite).nonzero()[0]))
        drawn = chains.drawn(chain, count, generator)  # (count, T, B)
        found = given.returned(torch.where(chain.is_within, drawn, -1), 1)
        return found[0] if num_samples is None else found

    def _read(self, emissions: Any, mask: Any, lengths: Any, tags: Any = None) -> Given:
        if isinstance(emissions, torch.Tensor):
            like = next(self.parameters(), None)
            check_device({"emissions": emissions}, like, whose="the CRF's transitions")
        given = read(self.num_tags, self.batch_first, emissions, mask, lengths, tags)
        if tags is not None and is_plain(given.emissions):
            Allowed(self.allowed_start, self.allowed, self.allowed_end).check_tags(given)
        return given

    def _dtype(self, emissions: Tensor) -> torch.dtype:
        """Of results: the widest of what they are made from, and no half."""
        dtype = torch.promote_types(emissions.dtype, self.transitions.dtype)
        return torch.promote_types(dtype, torch.float32)

    def _chain(self, given: Given) -> Chain:
        """The scores as numbers wide enough for products of exponentials."""
        wide = torch.float32 if given.emissions.device.type == "mps" else torch.float64

        def score(parameter: Tensor, allowed: Tensor | None) -> Tensor:
            found = parameter.to(wide)
            return found if allowed is None else found.masked_fill(~allowed, NEVER)

        return Chain(
            given.emissions.to(wide),
            score(self.start_transitions, self.allowed_start),
            score(self.transitions, self.allowed),
            score(self.end_transitions, self.allowed_end),
            given.lengths,
        )

    def _score(self, given: Given, chain: Chain) -> Tensor:
        tags = given.tags
        if tags is None:
            rule = "The score is that of a path of tags."
            raise NameProblem("E431", "tags is None", rule=rule, fix="Pass the tags.")
        emitted = chain.emissions.gather(-1, tags[..., None])[..., 0].sum(0)
        pairs = tags[:-1] * self.num_tags + tags[1:]
        moved = chain.transitions.flatten()[pairs]
        moved = moved if chain.within is None else torch.where(chain.within[1:], moved, 0.0)
        first, last = chain.start[tags[0]], chain.end[chain.of_last(tags)]
        return first + emitted + moved.sum(0) + last

    def _log_partition(self, given: Given, chain: Chain) -> Tensor:
        if torch.compiler.is_compiling():
            total: Tensor = chain_op.log_partition(*chain.scores, chain.lengths)
            return total
        found = chains.log_partition(chain)
        if is_plain(given.emissions) and (found < NEVER / 2).any():
            raise no_path(given, int(found.argmin()))
        return found

    def _possible(self, given: Given) -> Chain:
        """The chain, where there is a path at all: E434."""
        chain = self._chain(given)
        is_bound = self.allowed is not None or self.allowed_start is not None
        if is_bound or (is_plain(given.emissions) and not given.emissions.isfinite().all()):
            with torch.no_grad():
                self._log_partition(given, chain)
        return chain

    def _best(self, given: Given, count: int) -> tuple[Tensor, Tensor]:
        """Paths (count, T, B) and scores (count, B)."""
        chain = self._chain(given)
        if _count("n_best", count) == 1:
            path, score = chains.best(chain)
            paths, scores = path[None], score[None]
        else:
            paths, scores = chains.best_of(chain, count)
        if is_plain(given.emissions) and not (scores[0] >= NEVER / 2).all():
            at = int(scores[0].argmin())  # of numbers that are none the first
            raise no_number(given, at) if scores[0, at].isnan() else no_path(given, at)
        return paths, scores

    def _each(self, given: Given, found: Tensor, emissions: Tensor) -> Tensor:
        """One number for each sequence, as the caller has them."""
        return (found if given.batched else found[0]).to(self._dtype(emissions))

    def extra_repr(self) -> str:
        """The arguments."""
        words = f"num_tags={self.num_tags}" + ", batch_first=True" * self.batch_first
        if self.allowed is None:
            return words
        return f"{words}, allowed={int(self.allowed.sum())} of {self.num_tags**2} transitions"


def _count(name: str, given: int) -> int:
    if not is_count(given):
        rule = "It is a whole number, 1 or more."
        raise NameProblem("E436", f"{name}={given!r}", rule=rule, fix=f"As in {name}=3.")
    return given
