"""Find published cells by words: of their names, titles, citations, notes and equations."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping

from elman.errors import nearest

# How much a word counts by where it stands: the header's fields, then the equations.
WEIGHTS = {"name": 8, "aliases": 8, "title": 5, "citation": 2, "notes": 1, "equations": 1}
Entry = Mapping[str, str]  # the text of each place


def entry(name: str, header: Mapping[str, str], text: str) -> Entry:
    """What is searched of one cell."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {**header, "name": name.replace("_", " "), "equations": "\n".join(lines)}


def search(words: str, entries: Mapping[str, Entry]) -> list[str]:
    """The cells in which every word stands, those that it names before those that mention it.

    >>> headers = {"gru": {"title": "Gated unit"}, "gru_d": {"title": "Gated unit with decay"}}
    >>> search("decay gru", {name: entry(name, h, "") for name, h in headers.items()})
    ['gru_d']
    """
    asked = [plain(word) for word in words.replace("_", " ").split() if plain(word)]
    scores = {}
    for name, one in entries.items():
        found = [_score(word, one) for word in asked]
        if found and all(found):
            whole = plain(words)
            bonus = 20 * (whole in _called(name, one)) + 20 * (whole == plain(name))
            scores[name] = sum(found) + bonus - len(name) / 100
    return sorted(scores, key=lambda name: (-scores[name], name))


def likeliest(words: str, entries: Mapping[str, Entry]) -> str:
    """`Did you mean 'gru_d'?` for "GRU-D", "gruu" or "decay"; nothing where no cell is near."""
    called = {key: name for name in reversed(list(entries)) for key in _called(name, entries[name])}
    called |= {plain(name): name for name in entries}
    if plain(words) in called:
        return f"Did you mean '{called[plain(words)]}'?"
    found = search(words, entries)
    if found:
        return f"Did you mean '{found[0]}'?"
    near = difflib.get_close_matches(plain(words), called, n=1, cutoff=0.75)
    return f"Did you mean '{called[near[0]]}'?" if near else nearest(words, entries)


def plain(text: str) -> str:
    """Without case, hyphens and spaces.

    >>> plain("GRU-D"), plain("peephole LSTM")
    ('grud', 'peepholelstm')
    """
    return re.sub(r"[^a-z0-9]", "", text.casefold())


def _called(name: str, one: Entry) -> set[str]:
    """What a cell is called: name, aliases, title, and the short names in the title's brackets."""
    title = one.get("title", "")
    short = re.findall(r"\(([^()]*)\)", title)
    aliases = one.get("aliases", "").split(",")
    return {plain(each) for each in (name, title, *short, *aliases)} - {""}


@functools.cache  # of the library's own texts, which do not change
def _words(text: str) -> str:
    """Each word plain and between spaces."""
    return " ".join(["", *map(plain, re.split(r"[\s,;:()\[\]=+*@/]+", text)), ""])


def _score(word: str, one: Entry) -> float:
    """How well a word fits the places of a cell; 0 where it stands in none."""
    total = 0.0
    for place, weight in WEIGHTS.items():
        found = _words(one.get(place, ""))
        if f" {word} " in found:
            total += weight
        elif len(word) > 2 and word in found:
            total += weight / 2
    return total
