"""A right side: tokens -> syntax tree, by operator precedence on an explicit stack.

Precedence is Python's: comparisons, `+ -`, `* / % @` (from the left), a sign, `**` (from the
right).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from elman.errors import SyntaxProblem, TimeProblem
from elman.language.foreign import WORDS
from elman.language.functions import FUNCTIONS, einsum_fault
from elman.language.slips import (
    chained,
    dotted,
    foreign_word,
    list_slip,
    no_rounds,
    raised,
    round_time,
    single_entry,
    stray,
)
from elman.language.source import Fault, Source, Span, Token
from elman.language.syntax import (
    At,
    Binary,
    Call,
    Expr,
    Index,
    Join,
    Name,
    Number,
    Transpose,
    Unary,
)

COMPARISONS = ("<", ">", "<=", ">=", "==", "!=")
LEVEL = dict.fromkeys(COMPARISONS, 1) | {"+": 2, "-": 2, "*": 3, "/": 3, "%": 3, "@": 3, "**": 5}
SIGN_LEVEL = 4
DEEPEST = 100
LONGEST_LAG = 1000
CLOSES = {"(": ")", "[": "]"}


@dataclass(slots=True)
class _Frame:
    """What waits for its right end: an operator for its operand, a bracket for its closing one."""

    kind: str  # infix sign ( [ call
    token: Token
    level: int = 0
    items: list[Expr] = field(default_factory=list)
    depth: int = 0
    letters: Token | None = None  # of einsum("ij,j->i", ...)


def read_expression(tokens: tuple[Token, ...], source: Source, in_rounds: bool = False) -> Expr:
    """The syntax tree of `tokens`, which end with an end token.

    `in_rounds`: the text has inner loops, so that `R[l]` is one of a name's rounds.
    """
    return _Reader(tokens, source, in_rounds).read()


def read_index(tokens: Sequence[Token]) -> Index | None:
    """The inner index `l`, `l-1`, `3` or `L` that the tokens are, if they are one."""
    words = [(token.kind, token.text) for token in tokens]
    if any(kind == "number" and not (n.isdecimal() and len(n) < 7) for kind, n in words):
        return None
    match words:
        case [("number", number)]:
            return Index("", int(number), span=tokens[0].span)
        case [("name", name)] if name != "t":
            return Index(name, span=tokens[0].span)
        case [("name", name), (_, "+" | "-" as sign), ("number", number)] if name != "t":
            return Index(name, int(sign + number), span=tokens[0].span.to(tokens[2].span))
    return None


def number(token: Token) -> float:
    """The value of a number token."""
    try:
        value = float(token.text)
    except ValueError:
        fix = "Write it as 0.5 or 1e-3."
        raise Fault(
            SyntaxProblem, "E114", f"{token.text} is not a number", token.span, fix=fix
        ) from None
    digits = token.text.lower().split("e")[0]
    if value == float("inf") or (value == 0 and any(digit in digits for digit in "123456789")):
        size = "large" if value else "small"
        shown = token.text if len(token.text) < 30 else token.text[:12] + "..."
        rule = "Numbers lie between 1e-307 and 1e308 (float64)."
        raise Fault(SyntaxProblem, "E114", f"{shown} is too {size}", token.span, rule=rule)
    return value


class _Reader:
    """Values that are read, frames that wait; operands and operators are looked for in turn."""

    def __init__(self, tokens: tuple[Token, ...], source: Source, in_rounds: bool) -> None:
        self.tokens = tokens
        self.source = source
        self.in_rounds = in_rounds
        self.at = 0
        self.values: list[Expr] = []
        self.frames: list[_Frame] = []

    def read(self) -> Expr:
        while True:
            self.operand()
            if not self.operator():
                return self.values[0]

    def next(self) -> Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def push(self, kind: str, token: Token, level: int = 0) -> None:
        depth = self.frames[-1].depth if self.frames else 0
        depth += kind != "infix" or token.text == "**"
        if depth > DEEPEST:
            headline = f"the equation is nested deeper than {DEEPEST}"
            fix = "Give an inner part its own line: a[t] = ..."
            raise Fault(SyntaxProblem, "E113", headline, token.span, fix=fix)
        self.frames.append(_Frame(kind, token, level, [], depth))

    def operand(self) -> None:
        """Read signs and opening brackets up to and with one number or name."""
        while True:
            token = self.next()
            match token.kind, token.text:
                case "number", _:
                    self.values.append(Number(number(token), span=token.span))
                    return
                case "name", word if word in WORDS:
                    raise foreign_word(token)
                case "name", _:
                    if self.peek().text == "(":
                        self.refuse_round_time(token)
                        self.next()
                        self.push("call", token)
                        if token.text == "einsum":
                            self.letters()
                        self.refuse_empty()
                        continue
                    self.values.append(self.name(token))
                    return
                case "sign", "-" | "+":
                    self.push("sign", token, SIGN_LEVEL)
                case "sign", "(" | "[":
                    self.push(token.text, token)
                    self.refuse_empty()
                case "stray", _:
                    raise stray(token)
                case _:
                    raise self.missing_value(token)

    def operator(self) -> bool:
        """Read closing brackets up to and with one operator or comma; False at the line's end."""
        while True:
            token = self.next()
            match token.kind, token.text:
                case "sign", text if text in LEVEL:
                    self.reduce(LEVEL[text], token)
                    self.push("infix", token, LEVEL[text])
                    return True
                case "sign", ")" | "]":
                    self.close(token)
                case "sign", ".":
                    self.attribute(token)
                case "sign", ",":
                    if self.comma(token):
                        return True
                case "end", _:
                    self.reduce(0, token)
                    if self.frames:
                        raise _unclosed(self.frames[-1])
                    return False
                case _:
                    raise self.unexpected(token)

    def reduce(self, level: int, token: Token) -> None:
        """Apply the waiting operators that bind tighter than `level`, or as tight from the left."""
        while self.frames and self.frames[-1].kind in ("infix", "sign"):
            frame = self.frames[-1]
            if frame.level < level or (level == LEVEL["**"] == frame.level):
                return
            if frame.level == level == 1:
                raise chained(token)
            self.frames.pop()
            right = self.values.pop()
            if frame.kind == "infix":
                left = self.values.pop()
                span = left.span.to(right.span)
                self.values.append(Binary(frame.token.text, left, right, span=span))
            elif frame.token.text == "-":
                self.values.append(Unary("-", right, span=frame.token.span.to(right.span)))
            else:
                self.values.append(right)

    def close(self, token: Token) -> None:
        self.reduce(0, token)
        if not self.frames:
            headline = f"{token.text} closes nothing"
            fix = f"Remove it, or open a {'(' if token.text == ')' else '['} before."
            raise Fault(SyntaxProblem, "E104", headline, token.span, fix=fix)
        frame = self.frames.pop()
        opening = "(" if frame.kind == "call" else frame.kind
        if CLOSES[opening] != token.text:
            headline = f"{opening} is closed by {token.text}"
            fix = f"Write {CLOSES[opening]} here."
            raise Fault(SyntaxProblem, "E104", headline, token.span, fix=fix)
        span = frame.token.span.to(token.span)
        value = self.values.pop()
        match frame.kind:
            case "call":
                value = _call(frame, (*frame.items, value), span)
            case "[":
                value = Join((*frame.items, value), span=span)
            case _:
                value = replace(value, span=span)
        self.values.append(value)

    def comma(self, token: Token) -> bool:
        """Take a comma; False where it only ends a list: `[a, b,]`."""
        self.reduce(0, token)
        frame = self.frames[-1] if self.frames else None
        if frame is None or frame.kind == "(":
            headline = "a comma stands outside a list"
            fix = "Decimals have a point, 0.5; concatenation has square brackets, [a, b]."
            fix = "Remove it." if self.peek().kind == "end" else fix
            raise Fault(SyntaxProblem, "E106", headline, token.span, fix=fix)
        if self.peek().text in (")", "]"):
            return False
        frame.items.append(self.values.pop())
        return True

    def refuse_empty(self) -> None:
        token = self.peek()
        if token.text in (")", "]"):
            frame = self.frames[-1]
            what = f"{frame.token.text}()" if frame.kind == "call" else frame.kind + token.text
            span = frame.token.span.to(token.span)
            raise Fault(
                SyntaxProblem, "E106", f"{what} is empty", span, fix="Write a value inside."
            )

    def refuse_round_time(self, name: Token) -> None:
        """`h(t-1)` for `h[t-1]`; `sin(t)` is a call."""
        if name.text in FUNCTIONS:
            return
        if self.peek(1).text == "t" and self.peek(2).text in (")", "-", "+"):
            raise round_time(name, self.tokens[self.at :], self.source)

    def letters(self) -> None:
        """Take the string that einsum begins with, and the comma after it."""
        frame, token = self.frames[-1], self.next()
        if token.text[:1] not in ("'", '"') or self.peek().text != ",":
            headline = "einsum begins with the letters of its axes, in quotes"
            fix = f"Write {FUNCTIONS['einsum'].example}."
            raise Fault(SyntaxProblem, "E131", headline, token.span, fix=fix)
        frame.letters = token
        self.next()

    def attribute(self, dot: Token) -> None:
        token = self.next()
        value = self.values[-1]
        if token.text != "T" or self.peek().text == "(":
            raise dotted(self.source.quote(value.span), self.tokens[self.at - 1 :], dot)
        self.values[-1] = Transpose(value, span=value.span.to(token.span))

    def name(self, token: Token) -> Expr:
        """A name, with its time index where one follows."""
        if self.peek().text == "[":
            opening = self.next()
            if self.peek().text == "t":
                return self.index(token)
            inner = self.inner() if self.in_rounds else None
            if inner is None:
                raise self.not_an_index(token, opening)
            return Name(token.text, inner, span=token.span.to(self.tokens[self.at - 1].span))
        return Name(token.text, span=token.span)

    def inner(self) -> Index | None:
        """The inner index that stands before the next closing bracket, both taken, if one does."""
        ahead = [self.peek(k) for k in range(4)]
        closing = next((k for k, token in enumerate(ahead) if token.text == "]"), 0)
        found = read_index(ahead[:closing])
        self.at += closing + 1 if found else 0
        return found

    def index(self, name: Token) -> Expr:
        letter = self.next()
        sign = self.peek()
        lag = 0
        if sign.text in ("-", "+"):
            self.next()
            lag = self.delay(name, letter, sign)
        closing = self.next()
        if closing.text == "," and name.text != "t":
            inner = self.inner()
            if inner is None or not self.in_rounds:
                last = self.tokens[self.at - 1] if inner else self.peek()
                raise no_rounds(name.text, inner, name.span.to(last.span), self.source)
            return At(name.text, lag, inner, span=name.span.to(self.tokens[self.at - 1].span))
        if closing.text != "]" or name.text == "t":
            raise self.not_an_index(name, letter, letter.span.to(closing.span))
        return At(name.text, lag, span=name.span.to(closing.span))

    def delay(self, name: Token, letter: Token, sign: Token) -> int:
        count = self.next()
        span = name.span.to(self.peek().span if self.peek().text == "]" else count.span)
        written = self.source.quote(span)
        if not (count.kind == "number" and count.text.isdecimal()):
            raise self.not_an_index(name, letter, letter.span.to(count.span))
        if sign.text == "+":
            headline = f"{written} is in the future"
            rule = "A step reads what is at t or before."
            fix = f"Shift the equation by {count.text}, or read {name.text}[t] and reverse time."
            raise Fault(TimeProblem, "E302", headline, span, rule=rule, fix=fix)
        if len(count.text) > 9 or int(count.text) > LONGEST_LAG:
            rule = f"A delay is at most {LONGEST_LAG} steps."
            raise Fault(TimeProblem, "E309", f"{written} is too far back", span, rule=rule)
        return int(count.text)

    def not_an_index(self, name: Token, first: Token, span: Span | None = None) -> Fault:
        """`h[i]`, `h[t-k]`, `h[t][0]`; or `U [h[t-1], x[t]]` where a product was meant."""
        if span is None and (self.peek().kind == "name" and self.peek(1).text in ("[", ",")):
            return self.missing_operator(name.span, first)
        if span is None:
            closing = self.at
            while self.tokens[closing].text != "]" and self.tokens[closing].kind != "end":
                closing += 1
            span = first.span.to(self.tokens[closing].span)
        end = span.to(self.peek().span) if self.peek().text == "]" else span
        inside = self.source.quote(span).strip("[] ")
        headline = f"{name.text}[{inside}] is not a step"
        rule = "The brackets hold the time: t, or t minus a number."
        fix = f"Write {name.text}[t], {name.text}[t-1], {name.text}[t-2]."
        if name.text == "t":
            rule = "t is the number of the step: 1, 2, 3, ..."
            fix = "Write t, or t - 1 for the number of the step before."
        return Fault(TimeProblem, "E303", headline, name.span.to(end), rule=rule, fix=fix)

    def missing_value(self, token: Token) -> Fault:
        before = self.tokens[self.at - 2] if self.at > 1 else None
        span = token.span
        fix = "Write a name, a number or a bracket there."
        if token.kind == "end" and before:
            headline, span = f"nothing follows {before.text}", before.span
            fix += " A line goes on only inside brackets or after \\."
        elif token.kind == "end":
            headline = "the right side is empty"
        elif before and before.text in LEVEL and token.text in LEVEL:
            headline = f"{before.text} is followed by {token.text}"
        else:
            headline = f"a value is missing before {token.text}"
        return Fault(SyntaxProblem, "E106", headline, span, fix=fix)

    def unexpected(self, token: Token) -> Fault:
        """What may not follow a value: a value, an index, a sign the language does not have."""
        last = self.values[-1]
        before = self.source.quote(last.span)
        if token.text == "^":
            return raised(token, before, self.peek())
        if token.text == ";" and self.frames and self.frames[-1].kind == "[":
            return list_slip(token)
        if token.kind == "stray" or token.text == ":":
            return stray(token, before)
        if token.text in WORDS:
            return foreign_word(token)
        if token.text == "..":
            headline, fix = "a range stands inside an expression", "Give it a line: l = 1..3."
            return Fault(SyntaxProblem, "E132", headline, token.span, fix=fix)
        if token.text == "=":
            if self.frames:
                fix = "Functions take their arguments in order: softplus(x), max(a, b)."
                called = self.frames[-1].token.text
                if self.frames[-1].kind == "call" and called not in FUNCTIONS:
                    fix = f"A cell is put in by a line of its own: inner: {called}(x = ...)."
                return Fault(SyntaxProblem, "E116", "= stands inside brackets", token.span, fix=fix)
            fix = "Write one equation a line; a comparison is ==."
            return Fault(SyntaxProblem, "E112", "the line has a second =", token.span, fix=fix)
        if token.text == "[" and not isinstance(last, Name | Number):
            return single_entry(before, last.span, self.tokens[self.at - 1 :])
        return self.missing_operator(last.span, token)

    def missing_operator(self, left: Span, token: Token) -> Fault:
        """`W x[t]`: two values side by side."""
        index = self.tokens.index(token)
        end = index
        if token.kind != "name" or self.tokens[index + 1].text in ("[", "("):
            depth = 0
            for end in range(index, len(self.tokens)):
                depth += self.tokens[end].text in ("(", "[")
                depth -= self.tokens[end].text in (")", "]")
                if depth <= 0 and (end > index or token.kind == "number"):
                    break
        a = self.source.quote(left)
        b = self.source.quote(token.span.to(self.tokens[end].span))
        product = "@" if a[:1].isupper() else "*"
        fix = f"Write {a} {product} {b}"
        if self.frames and self.frames[-1].kind == "[":
            fix = f"Write {a}, {b}" if a.isdecimal() else f"{fix}, or a comma between them"
        elif a in FUNCTIONS:
            fix = f"A function has round brackets: write {a}({b} ...)"
        elif token.text in FUNCTIONS or any(t.kind == "name" for t in self.tokens[end + 1 :][:1]):
            fix = "A comment begins with #"
        fix += "."
        span = left.to(self.tokens[end].span)
        return Fault(
            SyntaxProblem, "E105", f"an operator is missing between {a} and {b}", span, fix=fix
        )


def _call(frame: _Frame, args: tuple[Expr, ...], span: Span) -> Call:
    """The call that a closing bracket ends."""
    if frame.letters is None:
        return Call(frame.token.text, args, span=span)
    spec = "".join(frame.letters.text[1:-1].split())
    wrong = einsum_fault(spec, len(args))
    if wrong:
        fix = f"For instance {FUNCTIONS['einsum'].example}."
        raise Fault(SyntaxProblem, "E131", wrong, frame.letters.span, fix=fix)
    return Call(frame.token.text, args, spec, span=span)


def _unclosed(frame: _Frame) -> Fault:
    kind = "(" if frame.kind == "call" else frame.kind
    headline, fix = f"{kind} is never closed", f"Write {CLOSES[kind]} where it ends."
    return Fault(SyntaxProblem, "E104", headline, frame.token.span, fix=fix)
