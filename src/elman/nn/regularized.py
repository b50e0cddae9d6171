"""A cell with dropout of four kinds, as equations: what is dropped is drawn within its kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeAlias

from elman import library
from elman.cell import Cell, published
from elman.errors import ShapeProblem, nearest
from elman.ir import Cell as Equations
from elman.language import read, write
from elman.language.syntax import Equation, Text
from elman.language.unlower import unlower
from elman.nn.given import is_number
from elman.passes import regularize

Zoneout: TypeAlias = float | Mapping[str, float]
Variational: TypeAlias = float | tuple[float, float]
Names: TypeAlias = tuple[str, ...]

ACTS_ON = {
    "zoneout": "It keeps states: what is read at [t-1].",
    "variational_dropout": "It acts on what a matrix multiplies: W @ x[t], U @ h[t-1].",
    "recurrent_dropout": "It acts on what is added to a memory, z[t] * h[t-1] + ..., or without "
    "one on U @ h[t-1].",
    "weight_drop": "It acts on matrices that multiply a state: U @ h[t-1].",
}


@dataclass(frozen=True)
class Drops:
    """What a layer drops while training: probabilities of 0 or more, less than 1.

    What a mask leaves is divided by the probability to be kept, so that evaluation is the cell
    itself; zoneout in evaluation is the average of old and new.

    Args:
        zoneout: each unit of a state stays what it was with this probability, drawn at each step;
            by name for some of the states, as `{"c": 0.5, "h": 0.05}`. What the states of this step
            are made of reads the new value. Krueger et al. 2017, arXiv:1606.01305.
        variational_dropout: of inputs and states where a matrix multiplies them, one mask for all
            matrices and steps of a sequence; `(p_x, p_h)` for inputs and states. Gal and
            Ghahramani 2016, arXiv:1512.05287.
        recurrent_dropout: of what is newly added to a memory, a state that is a sum with a
            multiple of its own past; of `h[t-1]` in products where the cell has none. Drawn at each
            step. Semeniuta et al. 2016, arXiv:1603.05118.
        weight_drop: of the weights of matrices that multiply a state, one mask a call. Merity et
            al. 2018, arXiv:1708.02182.
    """

    zoneout: Zoneout = 0.0
    variational_dropout: Variational = 0.0
    recurrent_dropout: float = 0.0
    weight_drop: float = 0.0

    def put_into(self, cells: Sequence[Cell]) -> list[Cell]:
        """The cells with their masks."""
        known = {cell: regularized(cell, **asdict(self)) for cell in dict.fromkeys(cells)}
        return [known[cell] for cell in cells]

    def words(self) -> list[str]:
        """What is not 0, as it was given.

        >>> Drops(weight_drop=0.5).words()
        ['weight_drop=0.5']
        """
        return [f"{name}={value}" for name, value in asdict(self).items() if value]


def regularized(
    cell: Cell,
    *,
    zoneout: Zoneout = 0.0,
    variational_dropout: Variational = 0.0,
    recurrent_dropout: float = 0.0,
    weight_drop: float = 0.0,
) -> Cell:
    """The cell with masks in its equations: in training they are drawn, see `Drops`.

    >>> from elman import Cell
    >>> cell = Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])")
    >>> print(regularized(cell, variational_dropout=(0, 0.25)), end="")
    keep_h = 0.75
    m_h: bernoulli(keep_h), per sequence
    h[t] = tanh(W @ x[t] + U @ h_left[t])
    h_left[t] = m_h / keep_h * h[t-1]
    return h

    The probabilities are constants of the cell, so that another one needs no other kernel.

    Errors: E214 for no probability below 1; E228 where there is nothing to act on; E229 for a
    state that the cell lacks.
    """
    stays = _by_state(zoneout)
    recurrent_dropout = _check("recurrent_dropout", recurrent_dropout)
    weight_drop = _check("weight_drop", weight_drop)
    if not any((*_pair(variational_dropout), recurrent_dropout, weight_drop, *stays.values())):
        return cell
    reading = read(str(cell), cell.name, library.cells.text)
    found = reading.cell
    if weight_drop:
        found = _weight_dropped(found, weight_drop)
    found = _reads_dropped(found, variational_dropout, recurrent_dropout)
    if recurrent_dropout and regularize.memories(found):
        found, keep = regularize.with_constant(found, "keep_new", _rest(recurrent_dropout))
        found = regularize.dropped_news(found, keep)
    found = _zoned(found, stays, isinstance(zoneout, Mapping))
    return published(write(_with_comments(unlower(found), reading.comments)), cell.name)


def _with_comments(text: Text, comments: Mapping[str, str]) -> Text:
    lines = (
        replace(line, comment=comments.get(line.name, "")) if isinstance(line, Equation) else line
        for line in text.lines
    )
    return Text(tuple(lines))


def _check(name: str, chance: object) -> float:
    """A probability below 1, or E214."""
    if not (is_number(chance) and 0 <= chance < 1):
        option, _, state = name.removesuffix("]").partition("[")
        raise ShapeProblem(
            "E214",
            f"{name}={chance!r}",
            rule="A probability is 0 or more, and here less than 1.",
            fix=f"As in {option}={f'{{{state}: 0.1}}' if state else 0.1}.",
        )
    return float(chance)


def _pair(chances: object) -> tuple[float, float]:
    """Of inputs and of states."""
    if not isinstance(chances, tuple | list):
        chance = _check("variational_dropout", chances)
        return chance, chance
    if len(chances) != 2:
        raise ShapeProblem(
            "E214",
            f"variational_dropout={chances!r}",
            rule="It is one probability, or one for inputs and one for states.",
            fix="As in variational_dropout=(0.1, 0.3).",
        )
    first, second = (_check("variational_dropout", chance) for chance in chances)
    return first, second


def _by_state(zoneout: object) -> Mapping[str, float]:
    """By name; under "" the one of all states."""
    if isinstance(zoneout, Mapping):
        return {name: _check(f'zoneout["{name}"]', chance) for name, chance in zoneout.items()}
    return {"": _check("zoneout", zoneout)}


def _rest(chance: float) -> float:
    """1 - p as one would write it.

    >>> _rest(0.9), _rest(0.25)
    (0.1, 0.75)
    """
    return float(f"{1 - chance:.15g}")


def _nothing(option: str, value: object, cell: Equations) -> ShapeProblem:
    return ShapeProblem(
        "E228",
        f"{option}={value!r} finds nothing to act on in the cell {cell.name}",
        rule=ACTS_ON[option],
        fix=f"Leave {option} out for this cell.",
    )


def _weight_dropped(cell: Equations, chance: float) -> Equations:
    ready, keep = regularize.with_constant(cell, "keep_weights", _rest(chance))
    found = regularize.dropped_weights(ready, keep)
    if found is ready:
        raise _nothing("weight_drop", chance, cell)
    return found


def _reads_dropped(cell: Equations, variational: Variational, recurrent: float) -> Equations:
    """Masks on what products read: of a sequence, and of a step where there is no memory."""
    inputs, states = regularize.read_inputs(cell), regularize.read_states(cell)
    chances = _variational(cell, variational, inputs, states)
    steps = {} if regularize.memories(cell) else dict.fromkeys(states, recurrent)
    if recurrent and not (steps or regularize.memories(cell)):
        raise _nothing("recurrent_dropout", recurrent, cell)
    drops = []
    for over, by_name in (("b", chances), ("tb", steps)):
        keep = {}
        for name, chance in by_name.items():
            if chance:
                cell, keep[name] = regularize.with_constant(cell, f"keep_{name}", _rest(chance))
        drops += [(over, keep)] if keep else []
    return regularize.masked_reads(cell, drops) if drops else cell


def _variational(
    cell: Equations, given: Variational, inputs: Names, states: Names
) -> dict[str, float]:
    """The probability of each stream: one number acts where it can, each of two must act."""
    chances = _pair(given)
    missing = [bool(p) and not names for p, names in zip(chances, (inputs, states), strict=True)]
    if all(missing) or (any(missing) and isinstance(given, tuple | list)):
        raise _nothing("variational_dropout", given, cell)
    return dict.fromkeys(inputs, chances[0]) | dict.fromkeys(states, chances[1])


def _zoned(cell: Equations, stays: Mapping[str, float], by_name: bool) -> Equations:
    states = regularize.states_of(cell)
    if not by_name:
        if stays[""] and not states:
            raise _nothing("zoneout", stays[""], cell)
        stays = dict.fromkeys(states, stays[""])
    for name in stays:
        if name not in states:
            raise ShapeProblem(
                "E229",
                f"zoneout names {name or 'no name'}, which is no state of the cell {cell.name}",
                rule=f"Its states are {', '.join(states) or 'none'}.",
                fix=nearest(name, states) or None,
            )
    chances = {}
    for name, chance in stays.items():
        if chance:
            cell, chances[name] = regularize.with_constant(cell, f"zoneout_{name}", chance)
    return regularize.zoned(cell, chances) if chances else cell
