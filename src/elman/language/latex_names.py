"""Names as a page prints them -> names of the language, and the time that they are read at.

`W_{ih}^{f}` and `W_{ih,f}` are W_ih_f, `\\hat{h}_t` is h_hat[t], `c'_t` is c_prime[t]. The time is
an index below, above or in brackets: h_t, h^{(t)}, h^{\\langle t-1\\rangle}, h(t-1), h[t-1].
"""

from __future__ import annotations

from collections.abc import Sequence

from elman.errors import SyntaxProblem, TimeProblem
from elman.language.latex_indices import ACCENTS, IndexReader, Named, pieces
from elman.language.latex_page import (
    GREEK_COMMANDS,
    LONGEST_WORD,
    SCRIPTS,
    WORDS,
    called,
    flat,
)
from elman.language.latex_tree import Group, Item, is_sign, span_of, split
from elman.language.source import Fault, Token


class NameReader(IndexReader):
    """Reads names from lists of items; what is no name gives None."""

    def read(self, items: Sequence[Item], at: int) -> tuple[Named, int] | None:
        """The name that begins at an item, and where it ends."""
        found = self.letter(items, at)
        if found is None:
            return None
        named, at = found
        at = self.scripts(named, items, at)
        if named.time is None and named.power is None and not named.is_transposed:
            at = self.bracketed_time(named, items, at)
        return named, at

    # ---- the letter ----

    def letter(self, items: Sequence[Item], at: int) -> tuple[Named, int] | None:
        item = items[at]
        if isinstance(item, Group):
            return self.whole(item, at) if item.kind == "{" else None
        match item.kind, item.text:
            case "letter", _:
                return self.word(items, at)
            case "script", text:
                return Named([text], item.span, accents=["cal"], is_script=True), at + 1
            case "word" | "name" as kind, text:
                plain = "_".join(text.replace("\\_", "_").replace("-", "_").split())
                if not plain.isidentifier():
                    return None
                return Named([plain], item.span, is_whole=kind == "name"), at + 1
            case "command", r"\Delta" | r"\delta" if self.is_time(items, at + 1):
                return Named(["dt"], item.span.to(items[at + 1].span)), at + 2
            case "command", text if text in GREEK_COMMANDS:
                named = Named([GREEK_COMMANDS[text]], item.span, is_command=True)
                return named, at + 1
            case "command", text if text in ACCENTS:
                return self.accented(items, at, ACCENTS[text])
        return None

    def is_time(self, items: Sequence[Item], at: int) -> bool:
        """`\\Delta t`: the time itself stands behind, not as an index."""
        item = items[at] if at < len(items) else None
        return isinstance(item, Token) and item.kind == "letter" and item.text == "t"

    def whole(self, group: Group, at: int) -> tuple[Named, int] | None:
        """`{h}`, `\\mathbf{h_t}`: a group that is a name and nothing else."""
        if not group.items:
            return None
        found = self.read(group.items, 0)
        if found is None or found[1] < len(group.items) or found[0].power is not None:
            return None
        found[0].span = group.span if len(group.items) > 1 else found[0].span
        return found[0], at + 1

    def accented(self, items: Sequence[Item], at: int, accent: str) -> tuple[Named, int]:
        below = items[at + 1] if at + 1 < len(items) else None
        found = None
        if isinstance(below, Group):
            found = self.letter(items, at + 1)
        elif below is not None:
            found = self.letter((below,), 0)
            found = (found[0], at + 2) if found else None
            if is_sign(below, *ACCENTS):
                found = self.letter(items, at + 1)
        if found is None:
            headline = f"{self.source.quote(items[at].span)} stands over no letter"
            fix = r"Write one letter under it: \hat{h}_t."
            raise Fault(SyntaxProblem, "E152", headline, items[at].span, fix=fix)
        found[0].accents.append(accent)
        found[0].span = items[at].span.to(found[0].span)
        return found

    def word(self, items: Sequence[Item], at: int) -> tuple[Named, int]:
        """One letter; several where they are one word of the page."""
        texts = [_text(items[at])]
        if not texts[0].isascii() and not self.page.words:
            return Named(texts, items[at].span), at + 1
        while at + len(texts) < len(items) and len(texts[-1]) == 1 and len(texts) < LONGEST_WORD:
            after = items[at + len(texts)]
            if not _touches(items[at + len(texts) - 1], after) or len(_text(after)) > 1:
                break
            texts.append(_text(after))
        stop = at + len(texts)
        after_run = items[stop] if stop < len(items) else None
        size = self.length("".join(texts), after_run) if len(texts) > 1 else 1
        span = items[at].span.to(items[at + size - 1].span)
        return Named(["".join(texts[:size])], span), at + size

    def length(self, text: str, after: Item | None) -> int:
        """How many letters of a run are the first name."""
        if len(text) == 1:
            return 1
        named = (*self.page.words, *self.page.macros)
        if not text.isascii():
            return max((len(word) for word in named if text.startswith(word)), default=1)
        for size in range(len(text), 1, -1):
            if text[:size] in named:
                return size
            is_whole = size == len(text)
            is_call = isinstance(after, Group) if is_whole else size > 2
            if text[:size].lower() in WORDS and (is_whole or is_call):
                return size
        for start in range(1, len(text) - 2):
            if text[start:].lower() in WORDS and isinstance(after, Group):
                return 1 if start == 1 else self.length(text[:start], None)
        known = self.page.letters
        is_product = all(letter in known for letter in text)
        if len(text) == 2:
            is_product = is_product or text[0].isupper() or text[0] == self.page.time
        return 1 if is_product else len(text)

    # ---- what stands below and above ----

    def scripts(self, named: Named, items: Sequence[Item], at: int) -> int:
        below = above = False
        while at < len(items):
            item = items[at]
            if is_sign(item, "'"):
                count = len(_text(item))
                named.accents += ["prime"] * count
                named.span = named.span.to(item.span)
                at += 1
                continue
            if not is_sign(item, *SCRIPTS):
                break
            is_low = is_sign(item, "_")
            if (below and is_low and not self.page.is_plain) or (above and not is_low):
                raise self.doubled(named, item)
            below, above = below or is_low, above or not is_low
            script, end = self.script(items, at)
            if is_low:
                self.below(named, script)
                self.refuse_loose_time(named, items, end)
            else:
                self.above(named, script)
            named.span = named.span.to(span_of(items[at:end]))
            at = end
        return at

    def script(self, items: Sequence[Item], at: int) -> tuple[list[Item], int]:
        """What the sign at `at` lowers or raises, and where that ends."""
        mark = items[at]
        if at + 1 >= len(items) or is_sign(items[at + 1], *SCRIPTS, "=", "+", ","):
            quoted = self.source.quote(mark.span)
            headline = f"nothing stands after {quoted}"
            fix = "Write the index in braces: h_{t-1}."
            raise Fault(SyntaxProblem, "E152", headline, mark.span, fix=fix)
        first, end = items[at + 1], at + 2
        if isinstance(first, Group) and first.kind == "{":
            if not first.items:
                return [], end
            return list(first.items), end
        if isinstance(first, Token) and first.kind == "command" and first.text in ACCENTS:
            return [first, items[min(end, len(items) - 1)]], end + 1
        if self.page.is_plain and isinstance(first, Token) and first.kind in ("letter", "number"):
            while end < len(items) and _touches(items[end - 1], items[end], "number"):
                end += 1
            return list(items[at + 1 : end]), end
        if isinstance(first, Token) and first.kind == "number" and len(first.text) > 1:
            # x_12 is set as x_1 2: the braces are missing
            before = self.source.quote(items[at - 1].span) if at else ""
            fix = f"Write {before}{self.source.quote(mark.span)}{{{first.text}}}."
            headline = f"only the first digit of {first.text} would be set as an index"
            raise Fault(SyntaxProblem, "E152", headline, first.span, fix=fix)
        return [first], end

    def below(self, named: Named, script: list[Item]) -> None:
        for piece in pieces(script) or split(script, ","):
            time = self.time(piece)
            if time is not None and named.time is None:
                named.time = time
                continue
            if self.is_component(piece):
                continue
            text = self.label(piece)
            if text is None:
                raise self.no_index(named, piece or script)
            if text:
                named.low = True
                named.parts.append(text)

    def above(self, named: Named, script: list[Item]) -> None:
        if self.is_transpose(script):
            named.is_transposed = True
            return
        for piece in pieces(script) or [script]:
            time = self.time(piece)
            if time is not None and named.time is None:
                named.time = time
            elif named.parts == ["e"] and not named.accents:
                named.power = script  # e^x
            elif self.is_component(piece):
                continue
            elif self.is_label(piece, script) or self.is_number(named, piece):
                named.parts.append(self.label(piece) or "")
            else:
                named.power = script

    # ---- the time in brackets ----

    def bracketed_time(self, named: Named, items: Sequence[Item], at: int) -> int:
        """`h(t-1)`, `h[t]`."""
        after = items[at] if at < len(items) else None
        if not (isinstance(after, Group) and after.kind in ("(", "[")):
            return at
        time = self.time(after.items)
        word = "_".join(named.parts)
        if len(word) > 1 and not named.is_whole and not named.accents and called(word):
            return at  # softplus(t)
        if time is None or any(isinstance(item, Group) for item in after.items):
            return at
        named.time = time
        named.span = named.span.to(after.span)
        return at + 1

    # ---- slips ----

    def refuse_loose_time(self, named: Named, items: Sequence[Item], end: int) -> None:
        """`h_t-1` where h_{t-1} is meant: nothing stands between, and no braces."""
        if named.time != 0 or end + 1 >= len(items):
            return
        letter, sign, count = items[end - 1], items[end], items[end + 1]
        is_loose = isinstance(letter, Token) and is_sign(sign, "-", "+")
        number = isinstance(count, Token) and count.kind == "number" and count.text == "1"
        if is_loose and number and _adjoin(letter, sign) and _adjoin(sign, count):
            span = named.span.to(count.span)
            quoted = self.source.quote(span)
            base = quoted.rpartition("_")[0]
            headline = f"{quoted} lowers only the {self.page.time}"
            rule = "An index of several signs stands in braces."
            step = f"{self.page.time}{sign.text}1"  # type: ignore[union-attr]
            fix = f"Did you mean {base}_{{{step}}}? A sum is written with spaces, {base}_"
            fix += f"{self.page.time} {sign.text} 1."  # type: ignore[union-attr]
            raise Fault(SyntaxProblem, "E152", headline, span, rule=rule, fix=fix)

    def doubled(self, named: Named, mark: Item) -> Fault:
        quoted = self.source.quote(named.span)
        which = "below" if is_sign(mark, "_") else "above"
        sign = "_" if which == "below" else "^"
        headline = f"{quoted} has two indices {which}"
        fix = f"Write both in one pair of braces, with a comma: W{sign}{{x,t}}."
        return Fault(SyntaxProblem, "E152", headline, named.span.to(mark.span), fix=fix)

    def no_index(self, named: Named, piece: Sequence[Item]) -> Fault:
        quoted = self.source.quote(span_of(piece))
        span = span_of(piece)
        if any(is_sign(item, "=") for item in piece):
            base = self.source.quote(named.span)
            last = flat(piece)[-1].text
            headline = f"{base} has the index {quoted}"
            rule = "An equation holds at every step; a value before the first one has its own line."
            return Fault(
                TimeProblem, "E303", headline, span, rule=rule, fix=f"Write {base}_{last}."
            )
        headline = f"{quoted} is not understood as an index"
        rule = "An index is a letter, a word, a number, or the time."
        fix = r"Write W_{xh}, W_{\text{out}}, f_{1,t}, h_{t-1}."
        return Fault(SyntaxProblem, "E152", headline, span, rule=rule, fix=fix)


def _touches(left: Item, right: Item, *kinds: str) -> bool:
    """Are both letters (or of these kinds) without a space between?"""
    known = ("letter", *kinds)
    both = all(isinstance(item, Token) and item.kind in known for item in (left, right))
    return both and _adjoin(left, right)


def _adjoin(left: Item, right: Item) -> bool:
    return left.span.line == right.span.line and left.span.end == right.span.start


def _text(item: Item) -> str:
    return item.text if isinstance(item, Token) else ""
