"""A cell that runs as its inputs come, one step at a time, on memory of its own."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from elman.backends import c_compile
from elman.backends.call import Array, Arrays, Call, Request, all_sizes, choose, number_array
from elman.backends.notice import BackendNotice
from elman.backends.turns import turns_of
from elman.errors import NameProblem, WeightProblem, nearest
from elman.ir.sizes import number
from elman.passes.randomness import STEPS_TAKEN

if TYPE_CHECKING:
    from elman.cell.public import Cell

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Wish:
    """How a stream is to run; `batch=None` is one sequence, without an axis for it."""

    batch: int | None = None
    threads: int = 1
    copy: bool = False
    backend: str = "auto"


class Stream:
    """A cell that takes one step after the other, made by `Cell.stream`.

    >>> import elman
    >>> cell = elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)")
    >>> stream = cell.stream({"W": [0.4, 0.3], "U": 0.5, "b": 0.1})
    >>> [stream.step(x).round(4).tolist() for x in ([1, 2], [1.5, 2.5])]
    [[0.8005], [0.9518]]
    >>> stream.steps, stream.state["h"].round(4)
    (2, array([0.9518]))

    A step returns what the cell returns, (size) or (batch, size), several names as a tuple. These
    arrays are the stream's own: they are read-only, and the next steps write other numbers into
    them. To keep them, copy them, or make the stream with `copy=True`.

    Weights are read when the stream is made; changing their arrays later changes nothing. What is
    random has its mean, as in `Cell.run`. All numbers are those of `Cell.run` on the same backend.

    `backend` is the one that serves, `steps` counts the steps since the last `reset`. A stream
    belongs to one thread at a time; several streams of one cell may run at once.
    """

    def __init__(self, cell: Cell, request: Request, wish: Wish) -> None:
        cell.check_constants(request.weights)
        fix = "batch=None is one sequence without an axis for it."
        self._batch = None if wish.batch is None else _whole("sequences", wish.batch, fix)
        self._cell = cell
        self._over = {n.attr.name: n.over for n in cell.typed.cell.leaves if n.attr.role == "input"}
        self._copies, threads = wish.copy, _whole("threads", wish.threads, "As in threads=1.")
        self._check_names_once(request.inputs)
        spelling = cell._reading.cell, request, cell._spell
        self._sizes = cell._placed(lambda: all_sizes(cell.typed, *spelling))
        self._request = replace(request, dtype=_dtype(request))
        call = self._opened(self._fitting(request.inputs), request.state)
        self.backend = _chosen(call, wish.backend)
        # what is read again at a `reset` is the stream's own
        arrays = {name: np.array(a, order="C") for name, a in call.arrays.items()}
        self._call = replace(call, arrays=arrays)
        weights = {name: a for name, a in arrays.items() if name not in self._over}
        given = request.state or {}
        state = {key: np.array(number_array("state", key, a)) for key, a in given.items()}
        self._request = replace(self._request, weights=weights, state=state)
        self._lay_out(threads)

    def _lay_out(self, threads: int) -> None:
        """The steps, each with what it writes its inputs to and what it shows."""
        call = self._call
        self._dtype, self.steps = call.dtype, 0
        ring: list[list[Any]] = [
            [turn.run, self._result(turn.outputs), turn.old, turn.kept]
            for turn in turns_of(call, self.backend, threads)
        ]
        self._turn = ring[0]
        for turn, following in zip(ring, reversed(ring), strict=True):
            turn.append(following)
        self._inputs = {
            name: self._row(call.arrays[name][0, ...], "b" in over)
            for name, over in self._over.items()
            if "t" in over
        }
        order = sorted(self._inputs, key=self._rank)
        self._main = next(iter(order), None)
        self._x: Array = np.empty(0)
        self._x_shape: Shape | None = None
        if len(order) == 1:
            self._x = self._inputs[order[0]]
            self._x_shape = self._x.shape
        self._is_one = self._x_shape is not None and self._x.size == 1

    def _rank(self, name: str) -> tuple[bool, ...]:
        """The input that comes first is `x`, as in a layer."""
        is_number = not self._cell.typed.shape(name)
        return is_number, not is_number and self._over[name] != "tb", not is_number and name != "x"

    def step(self, x: Any = None, /, **others: Any) -> Any:
        """One step: `x` is (size) or (batch, size), further inputs of the step go by name.

        >>> import elman
        >>> stream = elman.Cell("h[t] = h[t-1] + w * x[t]").stream({"w": [1.0, 2.0]})
        >>> stream.step([1, 1]).tolist(), stream.step([1, 1]).tolist()
        ([1.0, 2.0], [2.0, 4.0])

        An array of the stream's shape is taken at once. Whatever is array-like is taken
        too, and axes of size 1 may be left out.

        Errors: NameProblem E541 and E542 for an input that is missing or is none of the step's,
        WeightProblem E543 for a shape that does not fit and E504 for what is no number.
        """
        if (
            type(x) is np.ndarray
            and x.shape == self._x_shape
            and x.dtype.kind == "f"
            and not others
        ):
            self._x[...] = x
        else:
            self._take(x, others)
        turn = self._turn
        turn[0]()
        self._turn = turn[4]
        self.steps += 1
        return _copied(turn[1]) if self._copies else turn[1]

    @property
    def state(self) -> dict[str, Array]:
        """A copy of the states after the last step, as `reset` and `Cell.run` take them."""
        found = {key: np.array(self._row(a, True)) for key, a in self._turn[2].items()}
        if self._call.taken is not None:
            taken = self._call.taken + self.steps
            found[STEPS_TAKEN] = np.full(
                () if self._batch is None else self._batch, taken, self._dtype
            )
        return found

    def reset(self, state: Mapping[str, Any] | None = None, **inputs: Any) -> None:
        """Begin anew: from this state, else as the stream began; per-sequence inputs go by name.

        >>> import elman
        >>> stream = elman.Cell("h[t] = h[t-1] + w * x[t]").stream({"w": [1.0, 2.0]})
        >>> stream.step([1, 1]).tolist()
        [1.0, 2.0]
        >>> stream.reset({"h": [5, 5]})
        >>> stream.step([1, 1]).tolist()
        [6.0, 7.0]
        """
        self._check_names_once(inputs, is_whole=False)
        once = {name: self._call.arrays[name] for name, over in self._over.items() if over == "b"}
        once = {name: self._row(a, True) for name, a in once.items()} | self._fitting(inputs)
        begun = self._opened(once, self._request.state) if inputs else self._call
        first = begun if state is None else self._opened(once, state)
        for name in inputs:
            self._call.arrays[name][...] = begun.arrays[name]
        self._call = replace(self._call, state=begun.state, taken=first.taken)
        for key, a in first.state.items():
            self._turn[2][key][...] = a
        self.steps = 0

    def __repr__(self) -> str:
        rows = "" if self._batch is None else f", batch={self._batch}"
        return f"<Stream of {self._cell.name} on {self.backend}: {self._dtype}{rows}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a stream cannot be copied: it is memory and addresses. "
            "Make another: cell.stream(weights, state=stream.state)"
        )

    # ---- what is given ----

    def _opened(self, once: Mapping[str, Any], state: Mapping[str, Any] | None) -> Call:
        """The call of one step on these inputs of the whole sequence, and zeros for the others."""
        lead = {"t": (1,), "b": () if self._batch is None else (self._batch,)}
        zeros = {
            name: np.zeros([n for axis in over for n in lead[axis]] + [*self._tail(name)])
            for name, over in self._over.items()
            if "t" in over
        }
        self._check_rows(state)
        asked = self._request
        given = zeros | dict(once), asked.weights, state, asked.sizes, 1, None, asked.dtype
        call: Call = self._cell._prepare(*given)
        rows = self._batch or 1
        spread = {key: np.broadcast_to(a, (rows, *a.shape[1:])) for key, a in call.state.items()}
        return replace(call, state=spread, batch=rows)

    def _check_rows(self, state: Mapping[str, Any] | None) -> None:
        """E543 for a state of other sequences than the stream's."""
        for key, given in state.items() if isinstance(state, Mapping) else ():
            shape: Shape = number_array("state", key, given).shape
            if key not in self._cell.states:
                continue
            is_spread = len(shape) <= len(self._cell.typed.shape(key)) or shape[0] == 1
            if not is_spread and shape[0] != (self._batch or 1):
                rows = "is one sequence" if self._batch is None else f"has {self._batch} of them"
                headline = f"the state {key} has {shape[0]} sequences, and the stream {rows}"
                raise WeightProblem("E543", headline, fix=f"Pass batch={shape[0]} to stream.")

    def _tail(self, name: str) -> Shape:
        return tuple(number(size, self._sizes) for size in self._cell.typed.shape(name))

    def _row(self, array: Array, has_rows: bool) -> Array:
        """What stands behind the batch where there is none; never a copy."""
        return array[0, ...] if has_rows and self._batch is None else array

    def _result(self, outputs: Mapping[str, Array]) -> Any:
        shown = []
        for name in self._call.cell.returns:
            view = self._row(outputs[name], True)[...]
            view.flags.writeable = False
            shown.append(view)
        return shown[0] if len(shown) == 1 else tuple(shown)

    def _take(self, x: Any, others: Mapping[str, Any]) -> None:
        """Write the inputs of a step where it reads them, once all have been looked at."""
        if self._is_one and type(x) in (float, int) and not others:
            self._x[...] = x
            return
        given = dict(others)
        if x is not None and self._main is None:
            headline = "x is given, and a step of this cell has no input"
            raise NameProblem("E542", headline, fix="Call step().")
        if x is not None and self._main in others:
            headline = f"{self._main} is given twice: with its name and without"
            raise NameProblem("E542", headline, fix="Pass it once.")
        if x is not None:
            given[self._main or ""] = x
        self._check_names_of_step(given)
        for name, value in self._fitting(given).items():
            self._inputs[name][...] = value

    def _fitting(self, given: Mapping[str, Any]) -> Arrays:
        """Arrays of inputs without the axis of time, in full shape; E543 for what does not fit."""
        found = {}
        for name, value in given.items():
            array = number_array("inputs", name, value)
            has_rows = "b" in self._over[name] and self._batch is not None
            lead = (self._batch or 1,) if has_rows else ()
            shape = (*lead, *self._tail(name))
            if array.shape != shape:
                is_short = array.ndim < len(shape)
                if not is_short or _without_ones(array.shape) != _without_ones(shape):
                    raise self._unfit(name, array.shape, shape, has_rows)
                array = array.reshape(shape)
            found[name] = array
        return found

    def _unfit(self, name: str, shape: Shape, wanted: Shape, has_rows: bool) -> WeightProblem:
        words = ", ".join([*(["batch"] if has_rows else []), *self._cell.typed.shape(name)])
        fix, place = None, " in a step" if "t" in self._over[name] else ""
        if shape[1:] == wanted and "t" in self._over[name]:
            fix = f"For several steps, pass {name}[t] to each of them."
        elif has_rows and shape == wanted[1:]:
            fix = f"Pass a row for each of the {wanted[0]} sequences."
        return WeightProblem(
            "E543",
            f"{name} is {_show(shape)}, and the stream needs {_show(wanted)}",
            rule=f"{name} is ({words}){place}." if words else f"{name} is one number{place}.",
            fix=fix,
        )

    def _check_names_once(self, given: Mapping[str, Any], *, is_whole: bool = True) -> None:
        """E541 and E542 for the inputs of a whole sequence."""
        own = [name for name, over in self._over.items() if "t" not in over]
        if isinstance(given, Mapping):  # what is no dict is refused with the sizes
            other = "It varies from step to step: pass it to step."
            self._check_names(given, own, "a whole sequence", other)
        for name in own if is_whole else ():
            if name not in given:
                rule = "It is one for the whole sequence, and given once."
                fix = f'As in stream(weights, inputs={{"{name}": ...}}).'
                raise NameProblem("E541", f"the input {name!r} is missing", rule=rule, fix=fix)

    def _check_names_of_step(self, given: Mapping[str, Any]) -> None:
        other = "It is one for the whole sequence: pass it to stream, or to reset."
        self._check_names(given, list(self._inputs), "a step", other)
        for name in self._inputs:
            if name not in given:
                words = ["..."] * (self._main is not None and name != self._main)
                words.append(name if name == self._main else f"{name}=...")
                fix = f"As in step({', '.join(words)})."
                raise NameProblem("E541", f"the input {name!r} is missing", fix=fix)

    def _check_names(
        self, given: Mapping[str, Any], own: list[str], kind: str, elsewhere: str
    ) -> None:
        """E542 for a name that is not among `own`."""
        for name in given:
            if name not in own:
                rule = f"The cell has {', '.join(own) or 'none'}."
                fix = elsewhere if name in self._over else nearest(str(name), own)
                headline = f"{name!r} is no input of {kind}"
                raise NameProblem("E542", headline, rule=rule, fix=fix or None)


def _without_ones(shape: Shape) -> Shape:
    return tuple(n for n in shape if n != 1)


def _show(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})" if shape else "a number"


def _whole(what: str, given: object, fix: str) -> int:
    """A count; E540 for what is none."""
    is_index = hasattr(given, "__index__") and not isinstance(given, bool)
    count = operator.index(given) if is_index else 0  # type: ignore[arg-type]
    if count < 1:
        rule = "It is a whole number, 1 or more."
        raise WeightProblem("E540", f"{given!r} is no number of {what}", rule=rule, fix=fix)
    return count


def _dtype(request: Request) -> Any:
    """The dtype asked for, else that of the weights which have one, else float64."""
    if request.dtype is not None:
        return request.dtype
    found = {str(getattr(a, "dtype", "")).removeprefix("torch.") for a in request.weights.values()}
    kinds = [np.dtype(name) for name in found & {"float32", "float64"}]
    return np.result_type(*kinds) if kinds else np.dtype(np.float64)


def _chosen(call: Call, backend: str) -> str:
    """The backend asked for; "auto" is c, or with a notice numpy where nothing can be compiled."""
    if backend != "auto":
        return choose(call, backend)
    reason = c_compile.trouble()
    if reason is not None:
        warnings.warn(BackendNotice(reason, "numpy"), stacklevel=4)
    return "c" if reason is None else "numpy"


def _copied(result: Any) -> Any:
    return tuple(a.copy() for a in result) if isinstance(result, tuple) else result.copy()
