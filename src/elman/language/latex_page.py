"""What a page's letters mean: which one is the time, which runs of letters are one word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from elman.language.functions import FUNCTIONS
from elman.language.latex_tree import Group, Item, is_sign
from elman.language.letters import GREEK
from elman.language.source import Token

SCRIPTS = ("_", "^")
LONGEST_WORD = 40
GREEK_COMMANDS = {rf"\{word}": word for word in GREEK if word != "lam"} | {r"\lambda": "lam"}
GREEK_COMMANDS |= {
    rf"\{word}": word
    for word in [
        "varepsilon",
        "vartheta",
        "varpi",
        "varrho",
        "varsigma",
        "varphi",
        "digamma",
        "aleph",
    ]
}
# what functions are called on pages -> their name here
_CALLED = {
    "sigm": "sigmoid", "logsigm": "log_sigmoid", "ln": "log", "rect": "relu", "layernorm":
    "layer_norm", "rmsnorm": "rms_norm", "ln_norm": "layer_norm", "logsoftmax": "log_softmax",
    "logsumexp": "logsumexp", "lse": "logsumexp", "straightthrough": "straight_through",
    "transpose": "transpose",
    "concat": "concat", "cat": "concat", "concatenate": "concat", "diag": "diag", "avg": "mean",
    "heaviside": "step", "cumax": "cumax", "sigmoid": "sigmoid", "diagonal": "diag",
}  # fmt: skip
WORDS = {name.lower(): name for name in FUNCTIONS if name.isascii()} | _CALLED
WORDS |= {"relu": "relu", "silu": "silu", "swish": "silu", "logistic": "sigmoid"}
# words that are names of variables as often: functions only with a command or brackets
_TIMES = ("t", "k", "n", "i", "j", "s", r"\tau", "m", "T", "τ")


def called(word: str) -> str | None:
    """The function that a page calls so: `ReLU` is relu, `LayerNorm` is layer_norm."""
    plain = word.strip().replace(" ", "").replace("\\_", "_").replace("-", "")
    if plain == "LN":  # the layer norm of papers; the logarithm is ln
        return "layer_norm"
    return WORDS.get(plain.lower(), WORDS.get(plain.lower().replace("_", "")))


@dataclass(frozen=True)
class Meaning:
    """What `symbols=` says that a letter is: a name, at a step or not, a function or a number."""

    name: str = ""
    time: int | None = None
    number: float | None = None

    @property
    def function(self) -> str | None:
        return self.name if self.name in FUNCTIONS and self.time is None else None


@dataclass(frozen=True)
class Page:
    """What the reader of names must know of the whole page."""

    time: str | None = None  # the time letter
    words: frozenset[str] = frozenset()  # runs of letters that are one name
    letters: frozenset[str] = frozenset()  # letters that stand alone somewhere
    components: frozenset[str] = frozenset()  # [W x]_j: the index of an entry
    symbols: Mapping[str, Meaning] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)  # functions that its sentences name
    macros: Mapping[str, int] = field(default_factory=dict)  # functions that the page defines
    layers: frozenset[str] = frozenset()  # letters that number layers: h^l
    numbered: frozenset[str] = frozenset()  # letters with a number above that is no power: W^1
    sigma: str | None = None  # set where the page gives the letter sigma a value
    is_plain: bool = False  # without a backslash or a brace, indices are whole words: W_ir


def lists(items: Iterable[Item]) -> Iterator[tuple[tuple[Item, ...], bool]]:
    """Every list of items of a tree, and whether it is an index."""
    stack: list[tuple[tuple[Item, ...], bool]] = [(tuple(items), False)]
    while stack:
        found, is_index = stack.pop()
        yield found, is_index
        for before, item in zip((None, *found), found, strict=False):
            if isinstance(item, Group):
                stack.append((item.items, is_index or is_sign(before, *SCRIPTS)))


def flat(items: Iterable[Item]) -> list[Token]:
    """The tokens of an index without what brackets it: `(t-1)`, `\\langle t-1 \\rangle`, `<t>`."""
    found: list[Token] = []
    stack = list(reversed(list(items)))
    while stack and len(found) < 32:
        item = stack.pop()
        if isinstance(item, Group):
            stack.extend(reversed(item.items))
        else:
            found.append(item)
    if len(found) > 2 and found[0].text == "<" and found[-1].text == ">":
        found = found[1:-1]
    return found


def time_shape(items: Iterable[Item]) -> tuple[str, Token | None, Token | None] | None:
    """The letter, the sign and what follows it, of what looks like a time: `t`, `k-1`."""
    match flat(items):
        case [Token(kind="letter" | "command") as letter]:
            return letter.text, None, None
        case [Token(kind="letter" | "command") as letter, Token(text="-" | "+") as sign, last]:
            return letter.text, sign, last
    return None


def find_time(trees: Iterable[tuple[Item, ...]]) -> str | None:
    """The time letter: t where it is one, else the letter that is counted down, `k-1`."""
    plain: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for found, is_index in (each for items in trees for each in lists(items)):
        for before, item in zip((None, *found), found, strict=False):
            for part in _index_parts(before, item, is_index):
                shape = time_shape(part)
                if shape and shape[2] is not None and shape[2].kind in ("number", "letter"):
                    counted[shape[0]] += 1
                elif shape:
                    plain[shape[0]] += 1
    if plain["t"] or counted["t"]:
        return "t"
    known = [letter for letter in _TIMES if counted[letter]]
    return max(known, key=lambda letter: counted[letter]) if known else None


def _index_parts(before: Item | None, item: Item, is_index: bool) -> Iterator[list[Item]]:
    if is_sign(before, *SCRIPTS):
        inner = item.items if isinstance(item, Group) else (item,)
        part: list[Item] = []
        for each in (*inner, None):
            if each is None or is_sign(each, ","):
                yield part
                part = []
            else:
                part.append(each)
    elif isinstance(item, Group) and item.kind in ("(", "[") and before is not None:
        is_name = isinstance(before, Group) or before.kind in ("letter", "word", "name", "command")
        if is_name or is_sign(before, "'"):
            yield list(item.items)


def runs(items: Iterable[Item]) -> Iterator[tuple[int, str]]:
    """Where letters stand side by side without an index between, and which."""
    start, word = 0, ""
    before: Item | None = None
    for index, item in enumerate(items):
        is_letter = isinstance(item, Token) and item.kind == "letter"
        if is_letter and word and len(word) < LONGEST_WORD and _touch(before, item):
            word += item.text  # type: ignore[union-attr]
        else:
            if word:
                yield start, word
            takes = is_letter and not is_sign(before, *SCRIPTS)
            start, word = index, item.text if takes else ""  # type: ignore[union-attr]
        before = item
    if word:
        yield start, word


def _touch(left: Item | None, right: Item) -> bool:
    if left is None:
        return False
    return left.span.line == right.span.line and left.span.end == right.span.start


def components(items: Iterable[Item]) -> Iterator[str]:
    """The letters j of `[W x]_j` and `(W x)^j`: the equation holds for every entry."""
    found = list(items)
    for bracket, mark, letter in zip(found, found[1:], found[2:], strict=False):
        is_bracket = isinstance(bracket, Group) and bracket.kind in ("[", "(")
        if is_bracket and is_sign(mark, "_", "^"):
            inner = flat([letter])
            is_letter = len(inner) == 1 and inner[0].kind == "letter"
            if is_letter and (is_sign(mark, "_") or inner[0].text in "ijkl"):
                yield inner[0].text


def numbered(items: Iterable[Item]) -> Iterator[str]:
    """The letters that have a 1 or a 0 above, which no power does: W^1, b_h^1."""
    found = list(items)
    for index, item in enumerate(found[:-1]):
        inner = flat([found[index + 1]]) if is_sign(item, "^") else []
        if len(inner) == 1 and inner[0].text in ("0", "1"):
            below = index - 3 if index > 2 and is_sign(found[index - 2], "_") else index - 1
            if below >= 0:
                yield from (token.text for token in flat([found[below]])[:1])


def layers(items: Iterable[Item]) -> Iterator[str]:
    """The letters l of `h^l`, alone above a letter."""
    found = list(items)
    for mark, letter in pairwise(found):
        if is_sign(mark, "^"):
            inner = flat([letter])
            if len(inner) == 1 and inner[0].kind == "letter":
                yield inner[0].text
