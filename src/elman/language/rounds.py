"""Inner loops written out: `s[t,l]` of `l = 1..3` becomes `s_1[t]`, `s_2[t]`, `s_3[t]`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby

from elman.errors import Fact, NameProblem, SyntaxProblem, TimeProblem, nearest
from elman.language.declared import function_as_name
from elman.language.functions import FUNCTIONS
from elman.language.source import Fault, Source, Span
from elman.language.syntax import (
    At,
    Constant,
    Declaration,
    Equation,
    Expr,
    Index,
    Initial,
    Line,
    Name,
    Number,
    Range,
    Text,
    fold,
    remake,
    walk,
)

MOST_ROUNDS = 100
MOST_LINES = 2000  # of all rounds
MOST_PARTS = 50_000  # of their right sides

Valued = Equation | Constant | Initial


def write_out(text: Text) -> Text:
    """The text with a line for every round; what only counts rounds is left out."""
    loops = _Loops(text)
    lines: list[Line] = []
    for letter, group in groupby(text.lines, key=loops.letter):
        block = list(group)
        if letter is None:
            lines += (line for each in block for line in loops.outside(each))
            continue
        for number in loops.ranges[letter]:
            inside = (each for each in block if isinstance(each, Valued))
            lines += (loops.at(each, number) for each in inside if loops.stands(each, number))
    lines = [line for each in lines for line in loops.declarations(each)]
    loops.refuse_clashes(lines)
    return Text(tuple(loops.without_counts(lines)), text.source)


def _values(line: Line) -> Iterator[At | Name]:
    """The names that a line reads, from left to right."""
    value = line.value if isinstance(line, Equation | Initial) else Number(0)
    return (part for part in walk(value) if isinstance(part, At | Name))


def _spelled(ref: At | Name | Valued, index: Index | int) -> str:
    """`s[t,l-1]`, `R[1]`: a name in one round, as it is written."""
    match ref:
        case At(lag=lag):
            return f"{ref.name}[t-{lag},{index}]" if lag else f"{ref.name}[t,{index}]"
        case Equation(per_step=True):
            return f"{ref.name}[t,{index}]"
        case Initial(step=step):
            return f"{ref.name}[{step},{index}]"
    return f"{ref.name}[{index}]"


@dataclass
class _Loops:
    """The inner loops of a text: their rounds, and the names that differ from round to round."""

    text: Text
    ranges: dict[str, range] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    given: dict[tuple[str, int], Valued] = field(default_factory=dict)  # lines by name and round
    single: set[tuple[str, int, int | None]] = field(default_factory=set)  # those with a number
    families: dict[str, Valued] = field(default_factory=dict)  # what lines compute round by round
    written: dict[str, dict[str, str]] = field(default_factory=dict)  # s: {s_1: s[t,1], ...}
    counts: set[str] = field(default_factory=set)  # constants that bound or number rounds
    used: set[str] = field(default_factory=set)
    lines: int = 0
    parts: int = 0

    def __post_init__(self) -> None:
        lines = self.text.lines
        plain = (line for line in lines if isinstance(line, Constant) and line.index is None)
        self.constants = {line.name: line for line in plain}
        for line in lines:
            if isinstance(line, Range):
                self.ranges[line.name] = self.range(line)
        self.refuse_doubles()
        for line in lines:
            if isinstance(line, Valued):
                self.note(line)
        for line in lines:
            if isinstance(line, Range) and line.name not in self.used:
                headline = f"{line.name} has rounds, but no line is of round {line.name}"
                fix = f"Write s[t,{line.name}] = ..., or remove the line."
                raise Fault(NameProblem, "E406", headline, line.span, fix=fix)
        self.refuse_mixtures()

    # ---- rounds ----

    def range(self, line: Range) -> range:
        if line.name in FUNCTIONS:
            raise function_as_name(line.name, line.span)
        first, last = (self.bound(end, line) for end in (line.first, line.last))
        if last < first:
            headline, rule = (
                f"{line.name} has no rounds: {first}..{last} is empty",
                "A range counts up.",
            )
            fix = f"Write {line.name} = {last}..{first}."
        elif last - first >= MOST_ROUNDS:
            headline = f"{line.name} has {last - first + 1} rounds"
            rule = f"An inner loop has at most {MOST_ROUNDS}; t is the long loop."
            fix = f"Write {line.name} = {first}..{first + 9}."
        else:
            return range(first, last + 1)
        raise Fault(SyntaxProblem, "E133", headline, line.span, rule=rule, fix=fix)

    def refuse_doubles(self) -> None:
        """An inner index has one line."""
        earlier: dict[str, Line] = {}
        for line in self.text.lines:
            if not isinstance(line, Range | Valued | Declaration) or line.name not in self.ranges:
                continue
            if line.name in earlier:
                first = earlier[line.name]
                assert isinstance(first, Range | Valued | Declaration)
                raise two_lines(line.name, first.span, line.span, self.text.source)
            earlier[line.name] = line

    def bound(self, end: int | str, line: Range) -> int:
        if isinstance(end, int):
            return end
        self.counts.add(end)
        if end not in self.constants:
            headline = f"{end} bounds the rounds of {line.name}, but no line gives it a value"
            fix = nearest(end, self.constants) or f"Add the line {end} = 3."
            raise Fault(NameProblem, "E422", headline, line.span, fix=fix)
        return _whole(self.constants[end], line.span)

    def number(self, index: Index, letter: str | None = None, at: int = 0) -> int:
        """The round that an index names, where `letter` is at round `at`."""
        if index.name == "":
            return index.offset
        if index.name == letter:
            return at + index.offset
        self.counts.add(index.name)
        return _whole(self.constants[index.name], index.span) + index.offset

    # ---- what is of a round ----

    def letter(self, line: Line) -> str | None:
        """The inner index that a line is repeated for."""
        index = line.index if isinstance(line, Valued) else None
        return index.name if index is not None and index.name in self.ranges else None

    def note(self, line: Valued) -> None:
        """Learn the rounds of a line; refuse indices that it cannot have."""
        letter = self.letter(line)
        self.refuse_letters(line, letter)
        if line.index is None:
            return
        rounds = self.ranges[letter] if letter else [self.number(line.index)]
        self.lines += len(rounds)
        if self.lines > MOST_LINES:
            raise _too_much(line.span)
        step = line.step if isinstance(line, Initial) else None
        if letter is None:
            self.single.add((line.name, rounds[0], step))
        if not isinstance(line, Initial):
            self.families.setdefault(line.name, line)
            self.given |= {(line.name, number): line for number in rounds}

    def refuse_letters(self, line: Valued, letter: str | None) -> None:
        if line.index is not None:
            self.refuse_unknown(line.index, line.span)
            if letter and line.index.offset:
                written = _spelled(line, line.index)
                headline = f"{written} stands on the left side"
                fix = f"Write {_spelled(line, Index(letter))} = ..., and shift the right side."
                raise Fault(TimeProblem, "E314", headline, line.span, fix=fix)
        for ref in _values(line):
            if ref.index is not None:
                self.refuse_unknown(ref.index, ref.span)
            elif isinstance(ref, At) and ref.name in self.ranges:
                headline = f"{ref.name} counts rounds; it has no steps"
                raise Fault(TimeProblem, "E314", headline, ref.span, fix=f"Write {ref.name}.")
            other = ref.index.name if ref.index is not None else ref.name
            if other in self.ranges and other != letter:
                raise self.outside_of(other, letter, ref, line)
        self.used |= {letter} if letter else set()

    def refuse_unknown(self, index: Index, span: Span) -> None:
        if index.name == "" or index.name in self.ranges or index.name in self.constants:
            return
        headline = f"{index.name} is not an inner index"
        fix = nearest(index.name, [*self.ranges, *self.constants])
        fix = fix or f"Write {next(iter(self.ranges))}, or add the line {index.name} = 1..3."
        raise Fault(NameProblem, "E422", headline, span, fix=fix)

    def outside_of(self, other: str, letter: str | None, ref: At | Name, line: Valued) -> Fault:
        if letter:
            headline = f"{letter} and {other} count in one line"
            rule = "A line is repeated for one inner index, that of its left side."
            fix = f"Give the part with {other} a line of its own."
            return Fault(TimeProblem, "E314", headline, ref.span, rule=rule, fix=fix)
        headline = f"{other} is read outside of its rounds"
        rule = f"A line is repeated for {other} where its left side has it."
        last = self.ranges[other][-1]
        fix = f"Write {_spelled(line, Index(other))} = ..."
        if ref.index is not None:
            fix += f", or {_spelled(ref, last)} for the last round."
        return Fault(TimeProblem, "E314", headline, ref.span, rule=rule, fix=fix)

    def refuse_mixtures(self) -> None:
        """A name has an inner index everywhere or nowhere."""
        indexed: dict[str, At | Name | Valued] = {}
        plain: dict[str, At | Name | Valued] = {}
        for line in self.text.lines:
            if isinstance(line, Valued):
                for each in (line, *_values(line)):
                    (plain if each.index is None else indexed).setdefault(each.name, each)
        for name in indexed:
            if name in plain:
                here, with_index = plain[name], indexed[name]
                assert with_index.index is not None
                spelled = _spelled(with_index, with_index.index)
                headline = f"{name} stands with an inner index, {spelled}, and without"
                last = max((n for known, n in self.given if known == name), default=1)
                fix = f"Write which round it is, {_spelled(with_index, last)}, or use two names."
                raise Fault(NameProblem, "E423", headline, here.span, fix=fix)

    # ---- lines ----

    def stands(self, line: Valued, number: int) -> bool:
        """Is there no line of its own for this round?"""
        step = line.step if isinstance(line, Initial) else None
        return (line.name, number, step) not in self.single

    def outside(self, line: Line) -> Iterator[Line]:
        """A line that is not repeated."""
        if isinstance(line, Valued):
            yield self.at(line, None)
        elif not isinstance(line, Range):
            yield line

    def at(self, line: Valued, number: int | None) -> Valued:
        """A line in one round; `None` where it is not repeated."""
        letter = self.letter(line)
        name = line.name
        if line.index is not None:
            own = self.number(line.index, letter, number or 0)
            name = self.name(line, own, line.span)
        if isinstance(line, Constant):
            return replace(line, name=name, index=None)

        def visit(part: Expr, parts: list[Expr]) -> Expr:
            self.parts += 1
            if self.parts > MOST_PARTS:
                raise _too_much(line.span)
            if not isinstance(part, At | Name):
                return remake(part, parts)
            found = self.reference(part, letter, number)
            if isinstance(found, At) and (found.name, found.lag) == (name, 0) and part.index:
                raise _reads_itself(part)
            return found

        return replace(line, name=name, index=None, value=fold(line.value, visit))

    def reference(self, ref: At | Name, letter: str | None, number: int | None) -> Expr:
        """A name in one round."""
        if ref.index is None:
            is_count = isinstance(ref, Name) and ref.name == letter
            return Number(float(number or 0), span=ref.span) if is_count else ref
        own = self.number(ref.index, letter, number or 0)
        ahead = isinstance(ref, At) and not ref.lag and ref.index.offset > 0
        if ahead and ref.index.name == letter and ref.name in self.families:
            headline = f"{_spelled(ref, ref.index)} is of a later round"
            rule = "A round reads the rounds before it, and any round of the step before."
            fix = f"Write {_spelled(ref, Index(ref.index.name, -1))}."
            raise Fault(TimeProblem, "E315", headline, ref.span, rule=rule, fix=fix)
        self.refuse_missing(ref, own, letter, number)
        return replace(ref, name=self.name(ref, own, ref.span), index=None)

    def refuse_missing(
        self, ref: At | Name, own: int, letter: str | None, number: int | None
    ) -> None:
        assert ref.index is not None
        family = self.families.get(ref.name)
        when = f" when {letter} is {number}" if ref.index.name == letter else ""
        here = f"{_spelled(ref, ref.index)} is {_spelled(ref, own)}{when}" if when else ""
        if family is not None and (ref.name, own) not in self.given:
            left = _spelled(family, own)
            known = sorted(n for name, n in self.given if name == ref.name)
            headline = f"{here or _spelled(ref, own) + ' is read'}, but no line gives {left}"
            fix = f"Add the line {left} = ..."
            if own > known[-1]:
                fix = f"Did you mean {_spelled(ref, known[-1])}, the last one?"
            raise Fault(TimeProblem, "E315", headline, ref.span, fix=fix)
        if family is not None and _is_per_step(family) != isinstance(ref, At):
            is_step = isinstance(ref, Name)
            how = "without a step" if is_step else "at a step, but is the same at every step"
            headline = f"{_spelled(ref, ref.index)} is read {how}"
            fix = f"Write {_spelled(family, ref.index)}."
            raise Fault(TimeProblem, "E305" if is_step else "E307", headline, ref.span, fix=fix)

    def name(self, each: At | Name | Valued, number: int, span: Span) -> str:
        """The name of one round: s_1."""
        if number < 0:
            assert each.index is not None
            headline = f"{_spelled(each, each.index)} is {_spelled(each, number)}"
            rule = "The number of a round is 0 or more."
            fix = "Let the rounds begin later, such as l = 2..4."
            raise Fault(TimeProblem, "E315", headline, span, rule=rule, fix=fix)
        name = f"{each.name}_{number}"
        self.written.setdefault(each.name, {}).setdefault(name, _spelled(each, number))
        return name

    def declarations(self, line: Line) -> Iterator[Line]:
        """A declaration of a name that differs from round to round is of all of them."""
        if isinstance(line, Declaration) and line.name in self.written:
            yield from (replace(line, name=name) for name in self.written[line.name])
        else:
            yield line

    def refuse_clashes(self, lines: list[Line]) -> None:
        """The text may not use the name that a round's value gets."""
        made = {name: how for family in self.written.values() for name, how in family.items()}
        for line in self.text.lines:
            if isinstance(line, Valued):
                for each in (line, *_values(line)):
                    if each.index is None and each.name in made:
                        how = made[each.name]
                        headline = f"{each.name} is the name that {how} gets, and stands here too"
                        fix = f"Write {how}, or choose another name."
                        raise Fault(NameProblem, "E423", headline, each.span, fix=fix)

    def without_counts(self, lines: list[Line]) -> Iterator[Line]:
        """The lines without constants that nothing but rounds reads."""
        read = {ref.name for line in lines for ref in _values(line)}
        read |= {str(line.bernoulli) for line in lines if isinstance(line, Declaration)}
        done = self.counts - read
        for line in lines:
            if not (isinstance(line, Constant | Declaration) and line.name in done):
                yield line


def _reads_itself(ref: At | Name) -> Fault:
    assert ref.index is not None
    headline = f"{_spelled(ref, ref.index)} depends on itself within one round"
    before = replace(ref.index, offset=ref.index.offset - 1)
    fix = f"Did you mean {_spelled(ref, before)}?"
    return Fault(TimeProblem, "E301", headline, ref.span, fix=fix)


def _is_per_step(line: Valued) -> bool:
    return isinstance(line, Equation) and line.per_step


def _whole(constant: Constant, span: Span) -> int:
    value = constant.value
    if isinstance(value, float) and value == int(value) and 0 <= value < 1_000_000:
        return int(value)
    headline = f"{constant.name} counts rounds, but is not a whole number from 0 on"
    raise Fault(SyntaxProblem, "E133", headline, span, fix=f"Write {constant.name} = 3.")


def two_lines(name: str, first: Span, second: Span, source: Source) -> Fault:
    facts = [
        Fact(source.quote(first), "given first", f"on line {first.line}"),
        Fact(source.quote(second), "given again", f"on line {second.line}"),
    ]
    headline, fix = f"{name} is given by two lines", f"Give one of them another name: {name}_2."
    return Fault(NameProblem, "E402", headline, second, facts=facts, fix=fix)


def _too_much(span: Span) -> Fault:
    headline = "the inner loops make the cell too large"
    rule = f"Written out it may have {MOST_LINES} lines, of {MOST_PARTS} names and signs."
    fix = "Take fewer rounds, or shorter lines."
    return Fault(SyntaxProblem, "E137", headline, span, rule=rule, fix=fix)
