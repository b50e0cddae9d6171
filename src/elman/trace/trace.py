"""What a run worked by hand gives back: every value, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from elman.errors import ShapeProblem
from elman.language.syntax import Text
from elman.trace.backward.sections import backward_sections
from elman.trace.backward.steps import Backward
from elman.trace.board import Manner, document
from elman.trace.document import Document, blanked, shaped
from elman.trace.formats import html, latex
from elman.trace.formats.data import write_csv, write_json
from elman.trace.formats.markdown import write_markdown
from elman.trace.formats.text import write_text
from elman.trace.leaves import Dated
from elman.trace.naming import NamesOf, Streams, line_labels, named, read_labels
from elman.trace.notes import annotated, asking, distances, how_far, listed, outputs_of
from elman.trace.numbers import Digits
from elman.trace.rounding import Pencil, Rounding
from elman.trace.selection import Selection, chosen_names, chosen_steps
from elman.trace.worked import Line, Step

MOST_DIGITS = 17  # a float64 has no more
LEAST_LIMIT, LEAST_WIDTH = 4, 40
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Trace:
    """The values of every equation at every step, and of every part of it; exact, however shown.

    `values[name]` is (T, size), or without the T for what is computed once per sequence.

    >>> import elman
    >>> cell = elman.Cell("h[t] = tanh(w * x[t] + u * h[t-1])")
    >>> trace = cell.trace({"x": [1.0]}, {"w": 1, "u": 2})
    >>> print(trace.to_text(digits=2))
    step 1
      x[1] = 1
      h[0] = 0
      h[1] = tanh(w * x[1] + u * h[0])
           = tanh(1*1 + 2*0)
           = tanh(1)
           = 0.76
    >>> trace
    <Trace of 1 step: h (1, 1)>
    """

    values: Mapping[str, Array]
    steps: tuple[Step, ...]
    once: Step = field(default=Step(0, (), ()))
    text: Text = field(default=Text(()), repr=False)  # the equations
    selection: Selection = field(default=Selection(), repr=False)  # what of it is shown
    names: NamesOf = field(default_factory=dict)  # of the entries of a stream's vectors
    is_given_listed: bool = False  # weights, inputs and first states stand at the top
    title: str = ""
    questions: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    rounding: Rounding | None = None
    exact: Trace | None = None  # of a rounded one, the true one
    backward: Backward | None = None  # where something was differentiated

    @property
    def gradients(self) -> dict[str, Array]:
        """Those of `Cell.gradients`, where something was differentiated.

        >>> import elman
        >>> cell = elman.Cell("y[t] = w * x[t]")
        >>> goal = {"loss": "squared_error", "target": {"y": [2.0]}}
        >>> trace = cell.trace({"x": [3.0]}, {"w": 0.5}, **goal, lr=0.1)
        >>> {name: float(g.ravel()[0]) for name, g in trace.gradients.items()}
        {'w': -3.0, 'x': -0.5}
        >>> print(str(trace)[str(trace).index("step 1, backwards"):])
        step 1, backwards
          d_y[1] = 2 * (y[1] - target[1])  # through E[1]
                 = 2*(1.5 - 2)
                 = -1
          d_x[1] = w * d_y[1]  # through y[1]
                 = 0.5*(-1)
                 = -0.5
          d_w[1] = d_y[1] * x[1]
                 = -1*3
                 = -3
        <BLANKLINE>
        gradients
          d_w = d_w[1]
              = -3
        <BLANKLINE>
        a step of learning
          w (new) = w - 0.1 * d_w
                  = 0.5 - 0.1*(-3)
                  = 0.5 - (-0.3)
                  = 0.8
        """
        return self.backward.gradients if self.backward else {}

    @property
    def updated(self) -> dict[str, Array]:
        """The weights after a step of learning, where `lr` was given."""
        return self.backward.updated if self.backward else {}

    @property
    def loss(self) -> float | None:
        """The loss over all steps."""
        line = self.backward.loss if self.backward else None
        return None if line is None else float(line.value.item())

    def to_text(
        self,
        digits: int = 4,
        *,
        significant: bool = False,
        limit: int = 8,
        width: int = 80,
        blank: bool = False,
    ) -> str:
        """As plain text: formula, numbers put in, result; at most `digits` decimals.

        `significant` counts digits from the first that is not 0, of vectors longer than `limit`
        only the ends are shown, `blank` leaves gaps in place of the results.
        """
        _check_whole("width", width, LEAST_WIDTH, "A page has 40 columns or more.")
        return write_text(*self._page(digits, significant, limit, blank), width)

    def to_markdown(
        self, digits: int = 4, *, significant: bool = False, limit: int = 8, blank: bool = False
    ) -> str:
        """As Markdown with mathematics between dollars, as GitHub and Jupyter show it."""
        return write_markdown(*self._page(digits, significant, limit, blank))

    def to_latex(
        self, digits: int = 4, *, significant: bool = False, limit: int = 8, blank: bool = False
    ) -> str:
        r"""As LaTeX: it compiles alone, and a document with amsmath takes it in by \input."""
        return latex.write_latex(*self._page(digits, significant, limit, blank))

    def to_html(
        self, digits: int = 4, *, significant: bool = False, limit: int = 8, blank: bool = False
    ) -> str:
        """As one page with MathML, light and dark, that loads nothing and runs nothing."""
        return html.write_html(*self._page(digits, significant, limit, blank))

    def to_csv(self) -> str:
        """All values, exact, a row a number: `step, pass, name, part, index, value`.

        >>> import elman
        >>> cell = elman.Cell("h[t] = w * x[t] + 2")
        >>> print(cell.trace({"x": [1.0]}, {"w": 0.5}).to_csv(), end="")
        step,pass,name,part,index,value
        0,given,w,,,0.5
        1,given,x[1],,,1.0
        1,forward,h[1],w * x[1],,0.5
        1,forward,h[1],,,2.5
        """
        return write_csv(self)

    def to_json(self) -> str:
        """All values, exact, by step, line and part; what is no number stands as a text, "NaN"."""
        return write_json(self)

    def _repr_html_(self) -> str:
        return html.write_fragment(*self._page(4, False, 8, False))

    def _repr_latex_(self) -> str:
        return latex.write_fragment(*self._page(4, False, 8, False))

    def _page(
        self, count: int, significant: bool, limit: int, blank: bool
    ) -> tuple[Document, Digits]:
        """What a format shows, and how it shows numbers."""
        check_digits(count)
        _check_whole("limit", limit, LEAST_LIMIT, "Of a vector four entries are shown at least.")
        digits = Digits(count, significant, limit)
        shown = self.document(digits)
        return blanked(shown) if blank else shown, digits

    def document(self, digits: Digits | None = None) -> Document:
        """What every format shows; `digits` says how long a vector may be, and of numbers in notes.

        A trace of some steps, or of some names, shows those.
        """
        digits, steps, known = digits or Digits(), self.shown(), self.known()
        manner = Manner(digits.limit, self._streams())
        made = shaped(document(steps, self.text, manner), known)
        if self.backward is not None:
            back = (self.backward, self.selection, manner, len(self.steps))
            made = replace(made, sections=(*made.sections, *backward_sections(*back)))
        notes = [line_labels(steps, self.names, digits)]
        if self.exact is not None and self.rounding is not None:
            notes.append(distances(self.lines(steps), self.exact.lines(), self.rounding))
            last = self.steps[max(steps[-1].number - 1, 0)]
            ends = [e for e in last.lines if e.name in outputs_of(self.text)]
            ends += [self.backward.loss] if self.backward and self.backward.loss else []
            end = how_far(ends, self.exact.lines(), self.rounding)
            made = replace(made, sections=(*made.sections, end))
        if self.is_given_listed:
            loss = self.backward and self.backward.loss
            made = listed(made, self.known(), steps, [loss.left] if loss else [])
        made = annotated(made, read_labels(steps, self.names), *notes)
        return asking(made, self.title, self.questions, self.answers)

    def _streams(self) -> frozenset[str]:
        """The names of what is given at every step."""
        computed = {line.name for step in self.steps for line in step.lines}
        read = {read.left.name for step in self.steps for read in step.reads}
        return frozenset(read - computed)

    def lines(self, steps: Iterable[Step] | None = None) -> list[Line]:
        """Every line, or those of some steps, and those of the backward pass.

        >>> import elman
        >>> cell = elman.Cell("h[t] = tanh(w * x[t])")
        >>> cell.trace({"x": [0.0, 0.0]}, {"w": 1}).lines()
        [<Line h[1]: [0.]>, <Line h[2]: [0.]>]
        """
        forward = [line for s in steps or (self.once, *self.steps) for line in s.lines]
        if self.backward is None:
            return forward
        factors = [(*each.lines, each.product) for each in self.backward.factors]
        products = [line for lines in factors for line in lines if line is not None]
        return [*forward, *self.backward.lines, *products]

    def shown(self) -> tuple[Step, ...]:
        """The steps that are shown, with those of their lines that are; number 0 is the first."""
        return self.selection.of((self.once, *self.steps))

    def shown_backward(self) -> Backward | None:
        """The backward pass, with those of its steps and lines that are shown."""
        if self.backward is None:
            return None
        found, chosen = self.backward, self.selection
        totals, updates = chosen.lines(found.totals), chosen.lines(found.updates)
        steps = chosen.backwards(found.steps)
        return replace(found, steps=steps, totals=totals, updates=updates)

    # ---- another look at the same numbers ----

    def only(self, *names: str) -> Trace:
        """The same trace, of which the equations of these names are shown.

        >>> import elman
        >>> cell = elman.Cell("z[t] = w * x[t]\\nh[t] = tanh(z[t] + u * h[t-1])")
        >>> print(cell.trace({"x": [1.0]}, {"w": 1, "u": 2}).only("z"))
        step 1
          x[1] = 1
          z[1] = w * x[1]
               = 1*1
               = 1

        Errors: NameProblem E407 for a name that no equation computes.
        """
        known = tuple(dict.fromkeys(line.name for line in self.lines()))
        chosen = replace(self.selection, names=chosen_names(names, known))
        return replace(self, selection=chosen)

    def during(self, first: int, last: int | None = None) -> Trace:
        """The same trace, of which the steps `first` to `last` are shown, or all from `first`.

        Errors: TimeProblem E441 for a step that the run does not have.
        """
        begin, end = chosen_steps(first, last, len(self.steps))
        return replace(self, selection=replace(self.selection, first=begin, last=end))

    def named(self, names: Sequence[str] | Mapping[str, Sequence[str]]) -> Trace:
        """The same trace with a name for every entry of its one-hot inputs and of its outputs.

        One list serves every input and output of that many values; `{"x": [...], "y": [...]}`
        says whose each is.

        >>> import elman
        >>> cell = elman.Cell("y[t] = softmax(W @ x[t])")
        >>> trace = cell.trace({"x": [[0, 1]]}, {"W": [[0, 1], [0, 2]]})
        >>> print(trace.named(["yes", "no"]).to_text(digits=2))
        step 1
          x[1] = (0, 1)  "no"
          y[1] = softmax(W @ x[1])
                   W @ x[1] = (0*0 + 1*1, 0*0 + 2*1) = (1, 2)
               = softmax(1, 2)
               = (0.27, 0.73)  largest: 0.73, "no"

        Errors: ShapeProblem E442 for a wrong number of names, NameProblem E443 for what are none.
        """
        streams = Streams.of((self.once, *self.steps), outputs_of(self.text))
        return replace(self, names=named(names, streams))

    def rounded(self, digits: int, significant: bool = False, cut: bool = False) -> Trace:
        """What a person gets who rounds every value that is written down, and works on with it.

        `significant` counts digits from the first that is not 0, `cut` leaves the further ones
        off. The new trace says of each value how far it is from the exact one; `exact` is the
        true trace.

        >>> import elman
        >>> cell = elman.Cell("h[t] = tanh(w * x[t] + u * h[t-1])")
        >>> trace = cell.trace({"x": [1.0, 2.0]}, {"w": 0.3, "u": 0.7})
        >>> print(trace.rounded(2).during(2))
        step 2
          x[2] = 2
          h[1] = 0.29
          h[2] = tanh(w * x[2] + u * h[1])
               = tanh(0.3*2 + 0.7*0.29)
               = tanh(0.8)
               = 0.66  unrounded 0.6662, 0.006 off
        <BLANKLINE>
        every value rounded to 2 decimals
          h[2] = 0.66, unrounded 0.6662: 0.006 off
        """
        check_digits(digits)
        rounding = Rounding(digits, significant, cut)
        true = self.exact or self
        pencil = Pencil(rounding, true.known())
        once, *steps = pencil.steps((true.once, *true.steps))
        backward = true.backward and true.backward.reworked(pencil.line)
        values = _values((once, *steps), true.values)
        made = replace(self, values=values, once=once, steps=tuple(steps), backward=backward)
        return replace(made, rounding=rounding, exact=true)

    def with_given(self) -> Trace:
        """The same trace with its weights, inputs and first states listed at the top."""
        return replace(self, is_given_listed=True)

    def asking(
        self, title: str = "", questions: Sequence[str] = (), answers: Sequence[str] = ()
    ) -> Trace:
        """The same trace under a title, with questions; a blank page has them without answers."""
        return replace(self, title=title, questions=tuple(questions), answers=tuple(answers))

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        count = len(self.steps)
        shapes = ", ".join(f"{name} {value.shape}" for name, value in self.values.items())
        return f"<Trace of {count} step{'s' * (count != 1)}: {shapes}>"

    def known(self) -> dict[Dated, Array]:
        """Every value that is read or computed, by its name at its step.

        >>> import elman
        >>> cell = elman.Cell("h[t] = tanh(w * x[t] + u * h[t-1])")
        >>> trace = cell.trace({"x": [1.0]}, {"w": 1, "u": 2})
        >>> sorted(name.name for name in trace.known())
        ['h', 'h', 'u', 'w', 'x']
        """
        found: dict[Dated, Array] = {}
        for step in (self.once, *self.steps):
            found |= {read.left: read.value for read in step.reads}
            for line in step.lines:
                found |= leaves_of(line)
                found[line.left] = line.value
        return found | dict(self.backward.known if self.backward else {})


def check_digits(digits: object) -> None:
    """E208 where a number of digits is none."""
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= MOST_DIGITS:
        rule = f"Decimals are counted by a whole number from 0 to {MOST_DIGITS}."
        raise ShapeProblem("E208", f"digits={digits!r}", rule=rule, fix="Pass digits=4.")


def _values(steps: Iterable[Step], like: Mapping[str, Array]) -> dict[str, Array]:
    """The values of every line by name, those of the steps one under the other."""
    found: dict[str, list[Array]] = {name: [] for name in like}
    once = set()
    for line in (line for step in steps for line in step.lines):
        if line.name in found and not (line.step is not None and line.step < 1):
            found[line.name].append(line.value)
            once |= {line.name} if line.step is None else set()
    return {name: a[0] if name in once else np.stack(a) for name, a in found.items()}


def leaves_of(line: Line) -> dict[Dated, Array]:
    """What a line reads; the number of the step, `t`, has one too."""
    return {part: value for part, value in line.parts() if isinstance(part, Dated)}


def _check_whole(name: str, value: object, least: int, rule: str) -> None:
    """E208 where an option is no whole number, or too small a one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        fix = f"Pass {name}={2 * least}."
        raise ShapeProblem("E208", f"{name}={value!r}", rule=rule, fix=fix)
