"""Which tag may follow which, in the schemes that write spans as tags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from elman.errors import NameProblem, nearest

# After which letter which may come: + of any type, = of the same type. ^ begins and $ ends.
BIO = {"^": "O+ B+", "O": "O+ B+ $", "B": "O+ B+ I= $", "I": "O+ B+ I= $"}
IOB1 = {"^": "O+ I+", "O": "O+ I+ $", "B": "O+ I+ B= $", "I": "O+ I+ B= $"}
BIOES = {
    "^": "O+ B+ S+",
    "O": "O+ B+ S+ $",
    "B": "I= E=",
    "I": "I= E=",
    "E": "O+ B+ S+ $",
    "S": "O+ B+ S+ $",
}
# A scheme, and what it calls the letters of the table that it shares.
SCHEMES = {
    "BIO": (BIO, {}),
    "IOB2": (BIO, {}),
    "IOB1": (IOB1, {}),
    "BIOES": (BIOES, {}),
    "IOBES": (BIOES, {}),
    "BILOU": (BIOES, {"L": "E", "U": "S"}),
    "BIOUL": (BIOES, {"L": "E", "U": "S"}),
    "BMEWO": (BIOES, {"M": "I", "W": "S"}),
    "BMES": (BIOES, {"M": "I"}),
}


@dataclass(frozen=True)
class Constraints:
    """What may come first, what after what (`transitions[i][j]`: j after i), and what last."""

    start: tuple[bool, ...]
    transitions: tuple[tuple[bool, ...], ...]
    end: tuple[bool, ...]


def constraints(labels: Iterable[str], scheme: str = "BIO") -> Constraints:
    """Which labels such as "B-PER", "I-PER", "O" may follow one another in a scheme.

    >>> found = constraints(["O", "B-PER", "I-PER"])
    >>> found.start, found.transitions[0]
    ((True, True, False), (True, True, False))

    A type, behind the first hyphen, may be missing. E435 for a label that is not of the scheme.
    """
    if not isinstance(scheme, str) or scheme.upper() not in SCHEMES:
        raise NameProblem(
            "E435",
            f"there is no scheme {scheme!r}",
            rule=f"Known are {', '.join(SCHEMES)}.",
            fix=nearest(str(scheme), SCHEMES) or 'As in scheme="BIO".',
        )
    read = [_read(label, at, scheme.upper()) for at, label in enumerate(_listed(labels))]
    table = SCHEMES[scheme.upper()][0]
    after = {letter: set(said.split()) for letter, said in table.items()}
    return Constraints(
        tuple(f"{letter}+" in after["^"] for letter, _ in read),
        tuple(
            tuple(f"{b}+" in after[a] or (f"{b}=" in after[a] and of == kind) for b, kind in read)
            for a, of in read
        ),
        tuple("$" in after[letter] for letter, _ in read),
    )


def _listed(labels: Iterable[str]) -> list[str]:
    is_list = isinstance(labels, Iterable) and not isinstance(labels, str)
    given = list(labels) if is_list else []
    if given:
        return given
    raise NameProblem(
        "E435",
        f"labels is {labels!r}, no list of labels",
        rule="The label at k is the name of tag k.",
        fix='As in ["O", "B-PER", "I-PER"].',
    )


def _read(label: object, at: int, scheme: str) -> tuple[str, str]:
    """The letter that the table has for a label, and the label's type."""
    letter, _, kind = str(label).partition("-")
    table, called = SCHEMES[scheme]
    theirs = {called_so: letter for letter, called_so in called.items()}
    own = [theirs.get(letter, letter) for letter in table if letter != "^"]
    if letter not in own or (letter == "O" and kind):
        raise NameProblem(
            "E435",
            f"labels[{at}] is {label!r}, which {scheme} does not have",
            rule=f"A label is O, or one of {', '.join(x for x in own if x != 'O')} and a type.",
            fix=f'As in "{own[1]}-PER". Pass a matrix as allowed= for tags of another kind.',
        )
    return called.get(letter, letter), kind
