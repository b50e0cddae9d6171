"""The public Cell: equations read once, and everything that is derived from them."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from elman import ir, library
from elman.backends import call as calls
from elman.backends.c_run import REAL
from elman.cell.cotangents import named_gradients, of_final_states, of_outputs
from elman.cell.files import placed_in, read_text, write_text
from elman.cell.generated import generated
from elman.cell.made_from import check_text, checked_constants, refuse_rounds
from elman.cell.run import Array, Run
from elman.cell.stream import Stream
from elman.cell.stream import Wish as Streaming
from elman.cell.summary import summary
from elman.cell.traced import Wish, traced
from elman.errors import CellWarning, ElmanError, NameProblem, ShapeProblem, nearest
from elman.ir.cell import Number
from elman.ir.node import show
from elman.ir.sizes import number
from elman.language import Reading, read, read_latex, write, write_latex
from elman.language import write_text as write_plain
from elman.passes import STAGES, show_stage
from elman.passes.analysis import Analysis, analyse
from elman.passes.randomness import streams
from elman.passes.shapes import Typed, infer_shapes
from elman.passes.suspicions import suspicions
from elman.passes.system import system_of
from elman.trace import Trace

PAGES = (".tex", ".md", ".rst")  # the endings of files that hold LaTeX


class Cell:
    """A recurrent cell, from its equations.

    >>> cell = Cell("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)")
    >>> run = cell.run({"x": [[1, 2], [1.5, 2.5]]}, {"W": [0.4, 0.3], "U": 0.5, "b": 0.1})
    >>> run["h"].round(4)
    array([[0.8005],
           [0.9518]])

    `constants` are other numbers for those of the text, before it is read: also for one that says
    how many rounds an inner loop has.

    >>> powers = "L = 2\\nl = 1..L\\ns[t,0] = x[t]\\ns[t,l] = x[t] * s[t,l-1]\\nh[t] = s[t,L]"
    >>> Cell(powers).outputs, Cell(powers, constants={"L": 3}).outputs
    (('s_0', 's_1', 's_2', 'h'), ('s_0', 's_1', 's_2', 's_3', 'h'))

    Errors: SyntaxProblem, TimeProblem, NameProblem or ShapeProblem, each with a caret under what
    is wrong.
    """

    def __init__(
        self,
        text: str,
        name: str | None = None,
        constants: Mapping[str, Number] | None = None,
    ) -> None:
        check_text(text, name)
        reading = read(text, name, library.cells.text, checked_constants(constants))
        self._begin(write(reading) if constants else text, reading)

    def _begin(self, text: str, reading: Reading) -> None:
        self._text = text
        self._reading = reading
        self.name = reading.cell.name
        self.typed: Typed = self._placed(lambda: infer_shapes(reading.cell, self._spell))
        for found in self.warnings:
            warnings.warn(found, stacklevel=3)

    @classmethod
    def from_latex(
        cls,
        text: str,
        symbols: Mapping[str, str | float] | None = None,
        name: str | None = None,
    ) -> Cell:
        r"""The cell that a page prints: LaTeX, Unicode mathematics, or a document around them.

        `symbols` says what the page's letters are: a function, another name, a value at a step, a
        number. What is printed is what is built; docs/latex.md has the rules.

        >>> page = r"h_t = \phi(W_{hh} h_{t-1} + W_{xh} x_t + b)"
        >>> print(Cell.from_latex(page, symbols={r"\phi": "tanh"}), end="")
        h[t] = tanh(W_hh @ h[t-1] + W_xh @ x[t] + b)

        Errors: as of `Cell(text)`, with the caret in the LaTeX.
        """
        check_text(text, name, is_page=True)
        cell = cls.__new__(cls)
        reading = read_latex(text, symbols, name)
        cell._begin(write(reading), reading)
        return cell

    @classmethod
    def load(cls, path: str | Path) -> Cell:
        """The cell of a `.cell` file, or of a page (`.tex`, `.md`, `.rst`), named after it.

        Errors: FileProblem where the file cannot be read; a mistake in it is shown with its line.
        """
        path = Path(path)
        text = read_text(path)
        with placed_in(path):
            is_page = path.suffix in PAGES
            return cls.from_latex(text, name=path.stem) if is_page else cls(text, path.stem)

    def save(self, path: str | Path) -> None:
        """Write the text to a file, whole or not at all; FileProblem where that cannot be."""
        write_text(Path(path), str(self).rstrip("\n") + "\n")

    def _placed(self, work: Any) -> Any:
        """Do `work`; an error about a node gets its place in the text."""
        try:
            return work()
        except ElmanError as error:
            if isinstance(error.subject, ir.Node):
                raise error.at(self._reading.where(error.subject)) from None
            raise

    @functools.cached_property
    def warnings(self) -> tuple[CellWarning, ...]:
        """What is legal in its text but hardly meant, as warned of when it was made."""
        return (*self._reading.notices, *suspicions(self._reading, self.typed.cell))

    # ---- what it is ----

    @functools.cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of the streams that it reads."""
        return self.typed.cell.names("input")

    @functools.cached_property
    def states(self) -> tuple[str, ...]:
        """The names whose past it reads (`h[t-2]` for a second delay)."""
        return tuple(carry.key for carry in system_of(self.typed.cell).carries)

    @functools.cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of its weights."""
        return self.typed.cell.names("parameter")

    @functools.cached_property
    def frozen(self) -> tuple[str, ...]:
        """The weights among them that no gradient changes."""
        return self.typed.cell.frozen

    @functools.cached_property
    def random(self) -> tuple[str, ...]:
        """The names that are drawn: in evaluation their mean."""
        return streams(self.typed.cell)

    @functools.cached_property
    def outputs(self) -> tuple[str, ...]:
        """Every name that it computes at [t]."""
        return self.typed.cell.outputs

    @functools.cached_property
    def returns(self) -> tuple[str, ...]:
        """What a layer made of it outputs."""
        return self.typed.cell.returns

    @functools.cached_property
    def constants(self) -> dict[str, Any]:
        """The constants with their defaults."""
        return dict(self.typed.cell.constants)

    def shapes(self, **sizes: int) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter, input, state and value.

        >>> Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])").shapes(input=2, hidden=1)
        {'W': (1, 2), 'x': (2,), 'U': (1, 1), 'h': (1,)}
        """
        try:
            numbers = self.numbers(sizes)
        except ShapeProblem as error:  # here sizes are arguments of their own
            error.fix = re.sub(r'sizes=\{"(\w+)": \.\.\.\}', r"\1=3", error.fix or "") or None
            raise
        names = [n.attr.name for n in self.typed.cell.leaves] + list(self.outputs)
        return {
            name: tuple(number(size, numbers) for size in self.typed.shape(name))
            for name in dict.fromkeys(names)
        }

    def numbers(
        self, sizes: Mapping[str, int], by: Mapping[str, str] | None = None
    ) -> dict[str, int]:
        """The number of every size name; `by` says what the user called some of them."""
        constants = {
            name: calls.Given(np.shape(value), f"the constant {name}")
            for name, value in self.constants.items()
        }
        try:
            found, _ = calls.bind_sizes(
                self.typed, constants, sizes, self._reading.cell, self._spell
            )
        except ShapeProblem as error:
            if by and error.fix:
                for name, word in by.items():
                    error.fix = error.fix.replace(f"{name}=", f"{word}=")
            raise
        return found

    def _spell(self, n: ir.Node) -> str:
        return self._reading.quote(n) or show(n)

    def analyse(self) -> Analysis:
        """What is known before it runs: weights, work, phases, how its states hear their past.

        >>> found = Cell("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)").analyse()
        >>> str(found.parameters), found.parameters(hidden=3, input=2)
        ('hidden * input + hidden**2 + hidden', 18)
        >>> found.linear, found.diagonal, found.phases
        (False, False, 1)
        """
        return analyse(self.typed.cell)

    # ---- what it does ----

    def check_constants(self, given: Mapping[str, Any]) -> None:
        """E502 where one of them shaped the equations and cannot be changed any more."""
        refuse_rounds(self._reading.text, given)

    def _prepare(self, *given: Any) -> calls.Call:
        request = calls.Request(*given)
        self.check_constants(request.weights)
        found: calls.Call = self._placed(
            lambda: calls.prepare(self.typed, self._reading.cell, request, self._spell)
        )
        return found

    def run(
        self,
        inputs: Mapping[str, Any],
        weights: Mapping[str, Any],
        state: Mapping[str, Any] | None = None,
        *,
        sizes: Mapping[str, int] | None = None,
        steps: int | None = None,
        seed: int | None = None,
        lengths: Any = None,
        reset: Any = None,
        backend: str = "auto",
        dtype: Any = None,
    ) -> Run:
        """Every value of every step.

        Shapes: inputs (T, size) or (T, B, size); weights as `shapes` says, axes of size 1 may be
        left out; state (size) or (B, size), where not given what the cell says of it before the
        first step, else zero. `dtype=None`: the inputs' floating type, else float64.

        `steps` where no input counts them. `seed`, a whole number below 2**24, draws what is
        random, the same numbers on every backend; `seed=None` takes its mean (evaluation).
        `lengths` (B,) of sequences padded at their ends: behind them values are 0 and states stay.
        Where `reset` (T, B) is true, a sequence begins anew before that step: its states are what
        their lines before the first step say, else zero, whatever `state` is given.

        Errors: WeightProblem, NameProblem, ShapeProblem, BackendProblem.
        """
        call = self._prepare(inputs, weights, state, sizes, steps, seed, dtype, lengths, reset)
        chosen = calls.choose(call, backend)
        values, final = calls.run(call, self.outputs, chosen)
        if not call.batched:
            values = {name: a[:, 0] for name, a in values.items()}
            final = {key: a[0] for key, a in final.items()}
        return Run(values, final, chosen)

    def gradients(
        self,
        inputs: Mapping[str, Any],
        weights: Mapping[str, Any],
        state: Mapping[str, Any] | None = None,
        *,
        cotangents: Mapping[str, Any],
        final: Mapping[str, Any] | None = None,
        sizes: Mapping[str, int] | None = None,
        steps: int | None = None,
        seed: int | None = None,
        lengths: Any = None,
        reset: Any = None,
        backend: str = "auto",
        dtype: Any = None,
    ) -> dict[str, Array]:
        """The gradient of every input, weight and initial state, by backpropagation through time.

        `cotangents` are dE/dy for any outputs by name, in their shapes; `final` those of the final
        states. A state's gradient stands under its key, that of an input before the first step
        under `x[t-1]`.

        >>> cell = Cell("h[t] = u * x[t] + w * h[t-1]")
        >>> data = {"x": [1.0, 2.0]}, {"u": 0.5, "w": 0.25}
        >>> found = cell.gradients(*data, cotangents={"h": [0.0, 1.0]})
        >>> {name: float(g.ravel()[0]) for name, g in found.items()}
        {'u': 2.25, 'w': 0.5, 'x': 0.125, 'h': 0.0625}
        """
        call = self._prepare(inputs, weights, state, sizes, steps, seed, dtype, lengths, reset)
        chosen = calls.choose(call, backend)
        given = of_outputs(self.typed, call, cotangents)
        last = of_final_states(call, final or {})
        return named_gradients(self.typed, call, *calls.gradients(call, given, last, chosen))

    def trace(
        self,
        inputs: Mapping[str, Any],
        weights: Mapping[str, Any],
        state: Mapping[str, Any] | None = None,
        *,
        cotangents: Mapping[str, Any] | None = None,
        loss: str | None = None,
        target: Mapping[str, Any] | None = None,
        lr: float | None = None,
        sizes: Mapping[str, int] | None = None,
        steps: int | None = None,
        seed: int | None = None,
    ) -> Trace:
        """Every equation of every step with its numbers, one sequence, float64.

        With `cotangents`, or a `loss` ("squared_error", "half_squared_error", "cross_entropy") and
        a `target` for each step, None where there is none, also backwards: `gradients` are those of
        `Cell.gradients`. `lr` goes a step down them: `updated`.

        >>> cell = Cell("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)")
        >>> trace = cell.trace({"x": [[1, 2]]}, {"W": [0.4, 0.3], "U": 0.5, "b": 0.1})
        >>> print(trace.to_text())
        step 1
          x[1] = (1, 2)
          h[0] = 0
          h[1] = tanh(W @ x[1] + U @ h[0] + b)
               = tanh(0.4*1 + 0.3*2 + 0.5*0 + 0.1)
               = tanh(1.1)
               = 0.8005
        """
        call = self._prepare(inputs, weights, state, sizes, steps, seed, np.float64)
        return traced(self.typed, self._reading, call, Wish(cotangents, loss, target, lr))

    def stream(
        self,
        weights: Mapping[str, Any],
        *,
        inputs: Mapping[str, Any] | None = None,
        batch: int | None = None,
        state: Mapping[str, Any] | None = None,
        sizes: Mapping[str, int] | None = None,
        dtype: Any = None,
        threads: int = 1,
        copy: bool = False,
        backend: str = "auto",
    ) -> Stream:
        """The cell as a `Stream`, which runs step by step as its inputs come.

        `inputs` are those of a whole sequence. `batch=None` is one sequence without an axis for
        it. `dtype=None`: that of the weights. `copy=True` gives back arrays of the user's own.

        >>> stream = Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])").stream({"W": [[0.5]], "U": [[0.5]]})
        >>> stream.step(1).round(4), stream.step(1).round(4)
        (array([0.4621]), array([0.6237]))

        Errors: those of `run`, and E540 to E543.
        """
        asked = calls.Request(inputs or {}, weights, state, sizes, dtype=dtype)
        return Stream(self, asked, Streaming(batch, threads, copy, backend))

    # ---- what is derived ----

    def stage(self, name: str) -> str:
        """The cell after one of the passes, as text (`elman.passes.STAGES` names them)."""
        if name not in STAGES:
            raise NameProblem(
                "E411",
                f"there is no pass {name!r}",
                rule=f"There is {', '.join(STAGES)}.",
                fix=nearest(str(name), STAGES) or None,
            )
        return show_stage(self._reading.cell, name)

    def code(self, language: str = "c", dtype: str = "float32") -> str:
        """The generated code: forward and backward kernels with the equations above them.

        It is one file of C, which says at its top how its functions are called (docs/streams.md).
        """
        if language != "c" or dtype not in REAL:
            raise NameProblem(
                "E411", f"there is no code {language!r} for {dtype}", rule="There is c."
            )
        return generated(self.typed, self._reading, dtype)

    def summary(self) -> str:
        """What the cell has, a line a name.

        >>> print(Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])", "rnn").summary())
        rnn: 1 equation, returns h
          input      x (input)
          state      h (hidden)
          parameter  W (hidden, input)
          parameter  U (hidden, hidden)
        """
        return summary(self.name, self.typed)

    # ---- how it is shown ----

    def to_latex(self) -> str:
        r"""The equations as a page prints them; `Cell.from_latex` reads them back.

        >>> print(Cell("h[t] = tanh(W_h @ x[t] + alpha * h[t-1])").to_latex())
        \begin{align}
          h_t &= \tanh(W_h x_t + \alpha \odot h_{t-1})
        \end{align}
        """
        return write_latex(self._reading)

    def to_text(self) -> str:
        """The equations in plain Unicode; read back, a Greek word has become its letter.

        >>> print(Cell("h[t] = tanh(W_h @ x[t] + alpha * h[t-1])").to_text())
        hₜ = tanh(W_h xₜ + α ⊙ hₜ₋₁)
        """
        return write_plain(self._reading).rstrip("\n")

    def _repr_latex_(self) -> str:
        return f"$${write_latex(self._reading, 'aligned')}$$"

    def __str__(self) -> str:
        return write(self._reading)

    def __repr__(self) -> str:
        return f"Cell({self._text!r}, name={self.name!r})"

    def __eq__(self, other: object) -> bool:
        return (
            self._reading.cell == other._reading.cell if isinstance(other, Cell) else NotImplemented
        )

    def __hash__(self) -> int:
        return hash(self._reading.cell)


def published(text: str, name: str) -> Cell:
    """A cell of the library: what is odd in it is its authors', so nothing is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CellWarning)
        return Cell(text, name)
