"""What is legal but hardly meant: warnings, each found by one function of a reading's cell."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from elman.errors import CellWarning, Fact
from elman.ir import Cell, Node, topological
from elman.language import Reading
from elman.language.syntax import At, Call, Constant, Declaration, Equation, Expr, Name, walk
from elman.passes.differentiate import VJP
from elman.passes.misreadings import misreadings
from elman.passes.ranks import partners

Warnings = Iterator[CellWarning]
MOST_NAMED = 9  # names or lines in one warning
LONGEST_SLIP = 40  # letters of a name that is compared with others
SETTLED = (Equation, Constant, Declaration)  # lines that vouch for a name


def suspicions(reading: Reading, typed: Cell) -> list[CellWarning]:
    """What a careful reader would ask the author about; empty for most cells.

    >>> from elman.language import read
    >>> from elman.passes.shapes import infer_shapes
    >>> reading = read("g[t] = sigmoid(W @ x[t])\\nh[t] = tanh(U @ h[t-1] + V @ x[t])", "odd")
    >>> print(*suspicions(reading, infer_shapes(reading.cell).cell))
    CellWarning [W101]: g[t] reaches neither what is returned nor a later step
      equation 1 of cell 'odd'
        g[t] = sigmoid(W @ x[t])
        ^^^^
      The cell returns h. Read g[t] in another equation, add it to `return`, or leave the line out.
    """
    reached = _reached(typed)
    found: Iterable[CellWarning] = itertools.chain(
        _unreached_equations(reading, typed, reached),
        _no_gradient(reading, typed, reached),
        _biases_that_only_add(reading, typed),
        _odd_lags(reading),
        _near_names(reading),
        misreadings(reading, typed),
    )
    return list(found)


def _reached(typed: Cell) -> set[Node]:
    """The nodes on which what is returned depends, through the states too."""
    past = partners(typed)
    seen: set[Node] = set()
    waiting = [typed.value(name) for name in typed.returns]
    while waiting:
        new = [n for n in topological(waiting) if n not in seen]
        seen.update(new)
        waiting = [past[n] for n in new if n in past and past[n] not in seen]
    return seen


def _unreached_equations(reading: Reading, typed: Cell, reached: set[Node]) -> Warnings:
    lines = {line.name: line for line in reading.expanded.equations}
    for equation in typed.equations:
        if equation.value in reached or equation.name not in lines:
            continue
        written = f"{equation.name}[t]" if equation.per_step else equation.name
        yield CellWarning(
            "W101",
            f"{written} reaches neither what is returned nor a later step",
            where=reading.text.source.where(lines[equation.name].span),
            rule=f"The cell returns {', '.join(typed.returns)}.",
            fix=f"Read {written} in another equation, add it to `return`, or leave the line out.",
        )


def _no_gradient(reading: Reading, typed: Cell, reached: set[Node]) -> Warnings:
    """Parameters that are read, but only where no gradient passes."""
    past = partners(typed)
    learning: set[Node] = set()
    waiting = [typed.value(name) for name in typed.returns]
    while waiting:
        n = waiting.pop()
        if n in learning:
            continue
        learning.add(n)
        waiting += [past[n]] if n in past else []
        waiting += _arguments_with_gradient(n)
    places = _references(reading)
    weights = (n for n in typed.leaves if n.attr.role == "parameter" and n in reached)
    still = [n.attr.name for n in weights if n not in learning and n.attr.name not in typed.frozen]
    if still:
        frozen = "; ".join(f"{name}: frozen" for name in still)
        yield CellWarning(
            "W102",
            f"{_listed(still)} can never receive a gradient",
            where=reading.text.source.where(places[still[0]][0].span),
            rule="Comparisons, sign, floor and the condition of `where` pass no gradient on.",
            fix=f"Let it act through a smooth function, or declare it: {frozen}.",
        )


def _arguments_with_gradient(n: Node) -> list[Node]:
    if n.op not in VJP:
        return []
    passed = VJP[n.op](n, n, n.args)
    return [arg for arg, g in zip(n.args, passed, strict=False) if g is not None]


def _biases_that_only_add(reading: Reading, typed: Cell) -> Warnings:
    """Two weights, each read in one place, both terms of one sum: their sum alone matters."""
    nodes = topological(e.value for e in typed.equations)
    users: dict[Node, list[Node]] = defaultdict(list)
    for n in nodes:
        for arg in n.args:
            users[arg].append(n)
    top: dict[Node, Node] = {}  # the whole sum that a node is only a term of
    for n in reversed(nodes):
        is_term = len(users[n]) == 1 and users[n][0].op == "add"
        top[n] = top[users[n][0]] if is_term else n
    places = _references(reading)
    groups: dict[Node, list[Node]] = defaultdict(list)
    for n in nodes:
        is_weight = n.op == "leaf" and n.attr.role == "parameter"
        if is_weight and top[n] is not n and top[n].shape == n.shape:
            groups[top[n]].append(n)
    sums = [[n.attr.name for n in biases] for biases in groups.values()]
    once = [[name for name in names if len(places.get(name, ())) == 1] for names in sums]
    if alike := [names for names in once if len(names) > 1]:
        yield _added(reading, alike, places)


def _added(
    reading: Reading, sums: list[list[str]], places: dict[str, list[At | Name]]
) -> CellWarning:
    """One warning for all of them: it is one habit, that of giving each product its bias."""
    first = sums[0]
    facts = [
        Fact(" + ".join(names), "one sum", f"on line {places[names[-1]][0].span.line}")
        for names in sums[:MOST_NAMED]
    ]
    more = f", and so do the biases of {len(sums) - 1} more sums" if len(sums) > 1 else ""
    return CellWarning(
        "W103",
        f"{_listed(first)} only ever add{more}",
        where=reading.text.source.where(places[first[-1]][0].span),
        facts=facts,
        rule="Only their sum matters, and each receives the same gradient.",
        fix=f"Keep {first[0]} alone, unless weights from elsewhere have them all.",
    )


def _listed(names: list[str]) -> str:
    if len(names) > MOST_NAMED:
        names = [*names[: MOST_NAMED - 2], "...", names[-1]]
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _odd_lags(reading: Reading) -> Warnings:
    """Equations of one form, of which one reads a value at t that the others read at t-1."""
    forms: dict[tuple[object, ...], list[Equation]] = defaultdict(list)
    for line in reading.expanded.equations:
        if line.per_step:
            forms[_form(line.value)].append(line)
    for alike in (lines for lines in forms.values() if len(lines) > 2):
        reads = [[part for part in walk(line.value) if isinstance(part, At)] for line in alike]
        for refs in zip(*reads, strict=True):
            lags = Counter(ref.lag for ref in refs)
            if lags[0] == 1 and lags[1] == len(refs) - 1:
                odd = next(k for k, ref in enumerate(refs) if not ref.lag)
                yield _odd(reading, alike, odd, refs)


def _form(value: Expr) -> tuple[object, ...]:
    """An expression without the names of its weights, its functions and its lags."""
    return tuple((type(part).__name__, len(part.parts), _kind(part)) for part in walk(value))


def _kind(part: Expr) -> object:
    match part:
        case At(name=name):
            return name
        case Name() | Call():
            return None
    return part.head


def _odd(reading: Reading, alike: list[Equation], odd: int, refs: tuple[At, ...]) -> CellWarning:
    name = refs[odd].name
    others = [line.name for k, line in enumerate(alike) if k != odd]
    pairs = list(zip(alike, refs, strict=True))
    shown = pairs if len(pairs) <= MOST_NAMED else [*pairs[: MOST_NAMED - 1], pairs[odd]]
    facts = [
        Fact(f"{line.name}[t]", f"computed from {name}[t{'-1' if ref.lag else ''}]")
        for line, ref in shown
    ]
    return CellWarning(
        "W104",
        f"{alike[odd].name}[t] reads {name}[t] where its neighbours read {name}[t-1]",
        where=reading.text.source.where(refs[odd].span),
        facts=facts,
        rule=f"{', '.join(others[:MOST_NAMED])} have the same form.",
        fix=f"Is {name}[t-1] meant? (The output gate of a peephole LSTM does read the new state.)",
    )


def _near_names(reading: Reading) -> Warnings:
    """A weight or input that is read once and is a slip of the pen away from another name."""
    places = _references(reading)
    settled = [line.name for line in reading.text.lines if isinstance(line, SETTLED)]
    known = _Spellings([*settled, *(name for name, refs in places.items() if len(refs) > 1)])
    for name, refs in places.items():
        near = known.near(name)
        if near is None:
            known.add(name)  # of two that are read once, the later one is the slip
            continue
        yield CellWarning(
            "W105",
            f"{name} is read once, and is one letter from {near}",
            where=reading.text.source.where(refs[0].span),
            rule="A name that nothing else mentions becomes a weight or an input of its own.",
            fix=f"Is {near} meant? If not, a name further from it is easier to read.",
        )


class _Spellings:
    """Names, found by their slips: by what a slip makes of them, for there may be thousands.

    Letters exchanged, case, a forgotten underscore, or in a word a letter too many or too few.

    >>> _Spellings(["gamma", "W_z"]).near("gama"), _Spellings(["W_z", "gamma"]).near("Wz")
    ('gamma', 'W_z')
    >>> _Spellings(["W_z", "W_hm"]).near("W_Z")
    'W_z'
    >>> [_Spellings(["W_z", "W_hm"]).near(name) for name in ("W_r", "w_z", "W_mh")]
    [None, None, None]
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.order: dict[str, int] = {}
        self.folded: dict[str, str] = {}  # in small letters but for the first -> the first such
        self.shorter: dict[str, str] = {}  # with a letter left out -> the first such
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        self.order.setdefault(name, len(self.order))
        self.folded.setdefault(_folded(name), name)
        for short in _one_less(name):
            self.shorter.setdefault(short, name)

    def near(self, name: str) -> str | None:
        """The first of the names that this one is a slip of, unless it is one of them."""
        if name in self.order:
            return None
        found = [other for other in (*_exchanged(name), *_one_less(name)) if other in self.order]
        found += [self.folded[key] for key in [_folded(name)] if key in self.folded]
        found += [self.shorter[key] for key in [name] if key in self.shorter]
        return min(found, key=self.order.__getitem__, default=None)


def _folded(name: str) -> str:
    # W_z and w_z are two names in many papers, W_Z and W_z are not
    return name[0] + name[1:].lower()


def _one_less(name: str) -> Iterator[str]:
    if len(name) > LONGEST_SLIP:
        return
    for k, letter in enumerate(name):
        short = name[:k] + name[k + 1 :]
        is_word = len(short.rpartition("_")[2]) > 2
        if short and (letter == "_" or (is_word and not letter.isdigit())):
            yield short


def _exchanged(name: str) -> Iterator[str]:
    for k in range(1, min(len(name), LONGEST_SLIP)):
        # W_mh and W_hm are two weights; in a word, neighbours change places
        if len(name[: k + 1].rpartition("_")[2]) > 2:
            yield name[: k - 1] + name[k] + name[k - 1] + name[k + 1 :]


def _references(reading: Reading) -> dict[str, list[At | Name]]:
    """Where each name is read."""
    found: dict[str, list[At | Name]] = defaultdict(list)
    for line in reading.expanded.equations:
        for part in walk(line.value):
            if isinstance(part, At | Name):
                found[part.name].append(part)
    return found
