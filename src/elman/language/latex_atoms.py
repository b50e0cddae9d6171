"""What stands between two operators of a page: names, numbers, brackets, calls, fractions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

from elman.errors import SyntaxProblem
from elman.language import read_expression
from elman.language.functions import FUNCTIONS, einsum_fault
from elman.language.latex_blocks import BlockReader
from elman.language.latex_indices import Named
from elman.language.latex_nodes import Applied, Functions, Ref
from elman.language.latex_page import GREEK_COMMANDS, SCRIPTS, Meaning, called, flat
from elman.language.latex_tree import (
    CASES,
    MATRICES,
    Group,
    Item,
    is_sign,
    span_of,
    split,
    too_deep,
)
from elman.language.read_expression import DEEPEST
from elman.language.source import Fault, Span, Token
from elman.language.syntax import At, Binary, Call, Expr, Join, Name, Number, Transpose, Unary

_BRACKETS = ("(", "[", r"\{", "{")
_AROUND = {r"\lvert": "abs", "|": "abs", r"\lVert": "norm", r"\|": "norm", r"\lfloor": "floor"}
# letters that name functions where a square bracket follows, too
_FUNCTION_LETTERS = ("phi", "varphi", "psi", "Phi", "Psi", "chi", "φ", "ψ", "f", "g")


class AtomReader(BlockReader):
    """Reads one factor; `expression` is given by the class below it."""

    def atom(self, items: Sequence[Item], at: int) -> tuple[Expr, int]:
        """The value that begins at an item, with its powers, and where it ends."""
        item = items[at]
        if isinstance(item, Group):
            found = self.names.read(items, at) if item.kind == "{" else None
            if found:
                return self.named(*found, items)
            return self.powers(self.group(item), items, at + 1)
        match item.kind, item.text:
            case "number", _:
                return self.number(items, at)
            case "board", "1" | "I":
                return self.indicator(items, at)
            case "word", "einsum" if is_sign(_get(items, at + 1), "_"):
                return self.einsum(items, at)
            case "command", text if text in self.COMMANDS:
                value, at = self.COMMANDS[text](self, items, at)
                return self.powers(value, items, at)
            case "sign" | "command", "|" | r"\|":
                value, at = self.between_bars(items, at)
                return self.powers(value, items, at)
            case ("command", text) if self.is_call(item):
                return self.command_call(items, at)
        found = self.names.read(items, at)
        if found is None:
            raise self.not_a_value(item)
        return self.named(*found, items)

    # ---- numbers ----

    def number(self, items: Sequence[Item], at: int) -> tuple[Expr, int]:
        """`0.5`; `2 \\times 10^{-5}` is one number."""
        item = items[at]
        assert isinstance(item, Token)
        power, end = self.power_of_ten(items, at)
        if power is None and is_sign(_get(items, at + 1), r"\times", r"\cdot"):
            power, end = self.power_of_ten(items, at + 2)
            text = f"{item.text}e{power}"
        else:
            text = f"1e{power}"
        if power is not None:
            span = item.span.to(items[end - 1].span)
            token = Token("number", text, span)
            return Number(read_expression.number(token), span=span), end
        value = Number(read_expression.number(item), span=item.span)
        return self.powers(value, items, at + 1)

    def power_of_ten(self, items: Sequence[Item], at: int) -> tuple[str | None, int]:
        ten, mark, power = _get(items, at), _get(items, at + 1), _get(items, at + 2)
        if not (isinstance(ten, Token) and ten.text == "10" and is_sign(mark, "^") and power):
            return None, at
        text = "".join(token.text for token in flat([power]))
        is_integer = text.removeprefix("-").isdecimal() and len(text) < 9
        return (text, at + 3) if is_integer else (None, at)

    def indicator(self, items: Sequence[Item], at: int) -> tuple[Expr, int]:
        """`\\mathbb{1}[a < b]` is 1 where the condition holds; alone it is the number 1."""
        token, after = items[at], _get(items, at + 1)
        if is_sign(after, "_"):
            script, end = self.names.script(items, at + 1)
            inner = script[0].items if len(script) == 1 and isinstance(script[0], Group) else script
            return self.expression(inner, token.span), end
        if isinstance(after, Group) and after.kind in _BRACKETS:
            return self.expression(after.items, after.span), at + 2
        return Number(1.0, span=token.span), at + 1

    def einsum(self, items: Sequence[Item], at: int) -> tuple[Expr, int]:
        """`\\operatorname{einsum}_{ij,j \\to i}(A, b)`."""
        script, end = self.names.script(items, at + 1)
        letters = {r"\to": "->", r"\rightarrow": "->"}
        spec = "".join(letters.get(token.text, token.text) for token in flat(script))
        after = _get(items, end)
        span = items[at].span.to(script[-1].span if script else items[at].span)
        if not isinstance(after, Group):
            headline = "einsum stands without its arguments"
            fix = r"Write \operatorname{einsum}_{ij,j \to i}(A, b)."
            raise Fault(SyntaxProblem, "E155", headline, span, fix=fix)
        return self.contracted(spec, tuple(self.items(after)), span.to(after.span)), end + 1

    def contracted(self, spec: str, args: tuple[Expr, ...], span: Span) -> Expr:
        wrong = einsum_fault(spec, len(args))
        if wrong:
            rule = r"For instance \operatorname{einsum}_{ij,j \to i}(A, b)."
            raise Fault(SyntaxProblem, "E131", wrong, span, rule=rule)
        return Call("einsum", args, spec, span=span)

    # ---- names ----

    def named(self, named: Named, at: int, items: Sequence[Item]) -> tuple[Expr, int]:
        """What a name stands for: a value, a function of what follows, a power of e."""
        name, after = named.name, _get(items, at)
        meaning = self.meaning(named)
        function = self.function_of(named, meaning, after)
        if function and not named.is_transposed:
            return self.call(function, named.span, named.power, items, at)
        value: Expr = self.reference(named, meaning)
        is_free = named.time is None and not named.is_transposed and named.power is None
        if is_free and isinstance(value, Ref) and isinstance(after, Group):
            is_letter = named.parts[0] in _FUNCTION_LETTERS
            if after.kind == "(" or (after.kind == "[" and is_letter and not named.low):
                span = named.span.to(after.span)
                kind = "script" if named.is_script else after.kind
                applied = Applied(value.name, tuple(self.items(after)), kind, span=span)
                return self.powers(applied, items, at + 1)
        if named.is_transposed:
            value = Transpose(value, span=named.span)
        if named.power is not None:
            if name == "e" and named.time is None and "e" not in self.page.words:
                exponent = self.expression(named.power, named.span)
                return Call("exp", (exponent,), span=named.span), at
            value = self.power(value, named.power, named.span)
        return value, at

    def function_of(self, named: Named, meaning: Meaning | None, after: Item | None) -> str | None:
        """The function that a name is: by `symbols`, by the page, or by what it is called."""
        name, is_called = named.name, self.is_bracket(after)
        if meaning and meaning.function:
            return meaning.function
        if name in self.page.macros:
            return name
        if meaning is None and is_called and named.time is None and name in self.page.said:
            return self.page.said[name]
        if len(named.parts) > 1 or named.accents or meaning or named.time is not None:
            return name if name in FUNCTIONS and is_called else None  # layer_norm(...)
        if name in ("sigma", "σ") and self.page.sigma is None:
            return "sigmoid" if is_called else None
        return called(name) if len(name) > 1 and not named.is_whole else None

    def meaning(self, named: Named) -> Meaning | None:
        """What `symbols=` says of a name, or of its letter."""
        symbols = self.page.symbols
        whole = symbols.get(named.name)
        if whole and whole.function and named.time is not None:
            return None  # f_t is a gate, whatever the function f is
        if whole or len(named.parts) + len(named.accents) == 1:
            return whole
        letter = symbols.get(named.parts[0])
        if letter and letter.name and not letter.function and letter.time is None:
            return Meaning("_".join([letter.name, *named.accents, *named.parts[1:]]))
        return None

    def reference(self, named: Named, meaning: Meaning | None) -> Expr:
        if meaning and meaning.number is not None:
            return Number(meaning.number, span=named.span)
        if meaning:
            time = meaning.time if named.time is None else named.time
            return Ref(meaning.name, time, span=named.span)
        if named.name == self.page.time and named.time is None:
            return Name("t", span=named.span)
        return Ref(named.name, named.time, span=named.span)

    # ---- functions ----

    def is_call(self, token: Token) -> bool:
        return token.text not in GREEK_COMMANDS and called(token.text[1:]) is not None

    def command_call(self, items: Sequence[Item], at: int) -> tuple[Expr, int]:
        """`\\tanh(...)`, `\\log x_t`, `\\tanh^2(...)`."""
        token = items[at]
        assert isinstance(token, Token)
        meaning = self.page.symbols.get(token.text[1:])
        function = (meaning.function if meaning else None) or called(token.text[1:]) or ""
        power = None
        at += 1
        while is_sign(_get(items, at), *SCRIPTS):
            script, end = self.names.script(items, at)
            if is_sign(items[at], "_"):
                span = token.span.to(span_of(items[at:end]))
                raise self.function_with_index(function, span)
            power, at = script, end
        return self.call(function, token.span, power, items, at)

    def function_with_index(self, function: str, span: Span) -> Fault:
        quoted = self.source.quote(span)
        headline = f"{quoted} is a function with an index"
        fix = rf"Write \{function}(...) without it, or \text{{{function}}} of the whole vector."
        return Fault(SyntaxProblem, "E152", headline, span, fix=fix)

    def call(
        self, function: str, span: Span, power: list[Item] | None, items: Sequence[Item], at: int
    ) -> tuple[Expr, int]:
        after = _get(items, at)
        first = _get(after.items, 0) if isinstance(after, Group) else None
        if isinstance(after, Group) and isinstance(first, Token) and first.kind == "letters":
            rest = replace(after, items=after.items[2:])
            whole = span.to(after.span)
            made = self.contracted(first.text, tuple(self.items(rest)), whole)
            return self.powers(made, items, at + 1)
        if isinstance(after, Group) and after.kind in _BRACKETS:
            args, end = self.items(after), at + 1
        else:
            value, end = self.bare_argument(function, span, items, at)
            args = [value]
        whole = span.to(items[end - 1].span)
        made = self.made(function, args, whole)
        if power is not None:
            made = self.power(made, power, whole)
        return self.powers(made, items, end)

    def made(self, function: str, args: list[Expr], span: Span) -> Expr:
        if function == "concat":
            return Join(tuple(args), span=span)
        if function == "cumax":
            return Call("cumsum", (Call("softmax", tuple(args), span=span),), span=span)
        return Call(function, tuple(args), span=span)

    def bare_argument(
        self, function: str, span: Span, items: Sequence[Item], at: int
    ) -> tuple[Expr, int]:
        """The one value after `\\tanh`; of several it is not clear which belong to it."""
        after = _get(items, at)
        is_operator = isinstance(after, Token) and after.kind == "sign" and after.text not in "|"
        if after is None or is_operator:
            quoted = self.source.quote(span)
            headline = f"{quoted} stands without its argument"
            fix = f"Write {quoted}(...)."
            raise Fault(SyntaxProblem, "E155", headline, span, fix=fix)
        if self.functions > DEEPEST:
            raise too_deep(span)
        self.functions += 1
        value, end = self.atom(items, at)
        beyond = _get(items, end)
        if beyond is not None and self.begins_value(beyond):
            quoted = self.source.quote(span)
            _, stop = self.atom(items, end)
            whole = span.to(items[stop - 1].span)
            headline = f"it is not clear where the argument of {quoted} ends"
            inner = self.source.quote(value.span.to(items[stop - 1].span))
            fix = f"Write {quoted}({inner}), or {quoted}({self.source.quote(value.span)})."
            raise Fault(SyntaxProblem, "E155", headline, whole, fix=fix)
        self.functions -= 1
        return value, end

    def begins_value(self, item: Item) -> bool:
        if isinstance(item, Group):
            return True
        if item.kind == "command":
            return item.text in GREEK_COMMANDS or item.text in self.COMMANDS
        return item.kind in ("letter", "number", "word", "name", "board")

    def is_bracket(self, item: Item | None) -> bool:
        return isinstance(item, Group) and item.kind in _BRACKETS[:3]

    # ---- brackets ----

    def group(self, group: Group) -> Expr:
        """`(a + b)`, `[h, x]`, `|x|`, a matrix, cases."""
        if group.kind in _AROUND:
            inner = self.expression(group.items, group.span)
            return Call(_AROUND[group.kind], (inner,), span=group.span)
        if group.kind in CASES:
            return self.cases(group)
        if group.kind in MATRICES:
            return self.matrix(group)
        if group.kind not in (*_BRACKETS, ".", r"\langle", "<"):
            raise self.not_a_value(group)
        if len(group.items) == 1 and isinstance(group.items[0], Group):
            held = group.items[0]
            if held.kind in MATRICES:
                return self.matrix(held)
        parts = self.items(group)
        if len(parts) == 1 and not isinstance(parts[0], Functions):
            return replace(parts[0], span=group.span)
        if group.kind == r"\langle" and len(parts) == 2:
            return Call("dot", tuple(parts), span=group.span)
        return Join(tuple(parts), span=group.span)

    def items(self, group: Group) -> list[Expr]:
        """The values in a bracket between commas, semicolons and line ends."""
        parts = split(group.items, ",", ";")
        rows = split(group.items, kinds=("break",))
        if group.kind == "[" and len(parts) == 1 < len(rows) and not any(map(_goes_on, rows)):
            parts = rows
        if len(parts) > 1 and not parts[-1]:
            parts.pop()
        if not group.items:
            headline = f"{self.source.quote(group.span)} is empty"
            fix = "Write a value inside."
            raise Fault(SyntaxProblem, "E106", headline, group.span, fix=fix)
        return [self.expression(part, group.span) for part in parts]

    def between_bars(self, items: Sequence[Item], at: int) -> tuple[Expr, int]:
        bar = items[at]
        assert isinstance(bar, Token)
        end = next((i for i in range(at + 1, len(items)) if is_sign(items[i], bar.text)), None)
        if end is None:
            headline = f"{self.source.quote(bar.span)} is never closed"
            fix = r"Write |x|, or \lvert x \rvert."
            raise Fault(SyntaxProblem, "E104", headline, bar.span, fix=fix)
        span = bar.span.to(items[end].span)
        inner = self.expression(items[at + 1 : end], span)
        return Call(_AROUND[bar.text], (inner,), span=span), end + 1

    def powers(self, value: Expr, items: Sequence[Item], at: int) -> tuple[Expr, int]:
        """What stands above or below a bracket: `(...)^2`, `(...)^\\top`, `[...]_j`."""
        while at < len(items) and (is_sign(items[at], *SCRIPTS)):
            script, end = self.names.script(items, at)
            span = value.span.to(span_of(items[at:end]))
            is_norm = isinstance(value, Call) and value.function == "norm"
            if is_sign(items[at], "_"):
                tokens = flat(script)
                is_two = is_norm and [token.text for token in tokens] == ["2"]
                if not is_two and not self.names.is_component(script):
                    raise self.entry(value, span)
            elif self.names.is_component(script):
                pass
            elif self.names.is_transpose(script):
                value = Transpose(value, span=span)
            else:
                value = self.power(value, script, span)
            at = end
        return value, at

    def entry(self, value: Expr, span: Span) -> Fault:
        quoted = self.source.quote(span)
        headline = f"{quoted} takes an entry out of a value"
        rule = "Equations are of whole vectors."
        return Fault(SyntaxProblem, "E156", headline, span, rule=rule, fix="Leave the index out.")

    def power(self, value: Expr, script: Sequence[Item], span: Span) -> Expr:
        exponent = self.expression(script, span)
        is_name = isinstance(value, Ref | At | Name) and value.name[0].isupper()
        is_function = isinstance(value, Call) and script and value.function in ("tanh", "sigmoid")
        minus_one = isinstance(exponent, Unary) and isinstance(exponent.arg, Number)
        if minus_one and (is_name or is_function):
            quoted = self.source.quote(span)
            headline = f"{quoted} is an inverse"
            fix = "Divide by the value, or give the inverse a name of its own."
            raise Fault(SyntaxProblem, "E156", headline, span, fix=fix)
        return Binary("**", value, exponent, span=span)

    COMMANDS: ClassVar[dict[str, Callable[..., tuple[Expr, int]]]] = {
        r"\frac": BlockReader.fraction,
        r"\sqrt": BlockReader.root,
        r"\sum": BlockReader.sum_over,
    }


def _goes_on(row: Sequence[Item]) -> bool:
    """Does a line within brackets begin or end with a sign?"""
    signs = ("+", "-", "*", r"\\odot", r"\\circ", r"\\cdot")
    return not row or is_sign(row[0], *signs) or is_sign(row[-1], *signs)


def _get(items: Sequence[Item], at: int) -> Item | None:
    return items[at] if at < len(items) else None
