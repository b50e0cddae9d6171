"""Which vectors a person would compute as one array: the gates that read the same vector.

Products of one operand become one product of their stacked weights; what is then done to all parts
alike (a bias, a sigmoid) is done once to the whole.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from elman.bench.loop_graph import BEFORE, Loop
from elman.ir import Node
from elman.ir.ops import UNARY

COMMUTES = ("add", "mul", "maximum", "minimum")
LIKE = (*UNARY, *COMMUTES, "sub", "div")  # what can be done to several parts at once
Row = tuple[Node, ...]  # vectors side by side


@dataclass(frozen=True, eq=False)
class Stack:
    """Vectors computed as one array, side by side; `at` is the argument that is a stack itself."""

    members: Row
    at: int = 1

    @property
    def op(self) -> str:
        return self.members[0].op

    def operands(self, k: int) -> Row:
        """The k-th argument of every member; a single node where all share it."""
        row = tuple(n.args[k] for n in self.members)
        shared = not row[0].shape or (self.op == "contract" and k == 1)
        return row[:1] if shared else row


def is_product(n: Node) -> bool:
    """A weight times a vector."""
    return n.op == "contract" and n.attr == "ij,j->i" and not n.args[0].over


def find_stacks(loop: Loop) -> list[Stack]:
    """The stacks of a loop, none waiting for itself."""
    groups: dict[tuple[Node, str], list[Node]] = {}
    for n, phase in loop.phase.items():
        if is_product(n):
            groups.setdefault((n.args[1], phase), []).append(n)
    found: list[Stack] = []
    for group in groups.values():
        found += _grown(loop, Stack(_in_order(loop, group)))
    while not order_of(loop, found):
        found.pop()
    return found


def _in_order(loop: Loop, group: list[Node]) -> Row:
    """Parts that fare alike stand together, and those that are joined as they are joined."""
    for user in loop.users[group[0]]:
        if user.op == "concat" and set(user.args) == set(group):
            return user.args
    fates = {n: _fate(loop, n) for n in group}
    return tuple(sorted(group, key=lambda n: (fates[n][0], loop.index[fates[n][1]])))


def _fate(loop: Loop, n: Node) -> tuple[tuple[str, ...], Node]:
    """What happens to a vector, word by word, until several things do; and what it is then."""
    words: list[str] = []
    while len(loop.users[n]) == 1 and (word := _word(loop, loop.users[n][0], n)):
        n = loop.users[n][0]
        words.append(word)
    return tuple(words), n


def _word(loop: Loop, user: Node, n: Node) -> str:
    """How `user` reads `n`: two vectors with the same word can be read as one."""
    if user.op not in LIKE or user.shape != n.shape or len(n.shape or ()) != 1:
        return ""
    others = [arg for arg in user.args if arg is not n]
    if len(others) != len(user.args) - 1:
        return ""
    place = "" if user.op in COMMUTES else str(user.args.index(n))
    return " ".join([user.op, place, *(_kind(loop, user, other) for other in others)])


def _kind(loop: Loop, user: Node, other: Node) -> str:
    if not other.shape:
        return f"={other.attr}" if other.op == "const" else f"@{loop.index[other]}"
    if not other.over:
        return "weight"
    return "early" if loop.phase[other] == BEFORE and loop.phase[user] != BEFORE else "other"


def _grown(loop: Loop, stack: Stack) -> Iterator[Stack]:
    """A stack, and those of what is done to its parts alike."""
    yield stack
    alike: dict[str, list[Node]] = {}
    for n in stack.members:
        for word, user in {_word(loop, u, n): u for u in loop.users[n]}.items():
            if word and not word.endswith("other") and loop.phase[user] == loop.phase[n]:
                alike.setdefault(word, []).append(user)
    for word, users in alike.items():
        whole = len(users) == len(stack.members) and word.startswith("add")
        for run in _runs(stack, users):
            if len(run) > 1 or whole:
                base = set(stack.members)
                at = next(k for k, arg in enumerate(run[0].args) if arg in base)
                if all(n.args[at] in base for n in run):
                    yield from _grown(loop, Stack(tuple(run), at))


def _runs(stack: Stack, users: list[Node]) -> list[list[Node]]:
    """Users of neighbours, in the order of the stack."""
    place = {n: k for k, n in enumerate(stack.members)}
    runs: list[list[Node]] = []
    last = -2
    for user in users:
        here = next(place[arg] for arg in user.args if arg in place)
        if here != last + 1:
            runs.append([])
        runs[-1].append(user)
        last = here
    return runs


def order_of(loop: Loop, stacks: Iterable[Stack]) -> list[Stack | Node]:
    """Stacks and single nodes in an order in which they can be computed; [] where there is none."""
    home: Mapping[Node, Stack] = {n: stack for stack in stacks for n in stack.members}
    waits: dict[Stack | Node, set[Stack | Node]] = {}
    for n in loop.phase:
        unit = home.get(n, n)
        waits.setdefault(unit, set()).update({home.get(arg, arg) for arg in n.args})
    index = {unit: k for k, unit in enumerate(waits)}
    readers: dict[Stack | Node, list[Stack | Node]] = {unit: [] for unit in waits}
    for unit, needs in waits.items():
        for need in needs:
            readers[need].append(unit)
    left = {unit: len(needs) for unit, needs in waits.items()}
    ready = [(index[unit], unit) for unit, count in left.items() if not count]
    heapq.heapify(ready)
    order: list[Stack | Node] = []
    while ready:
        _, unit = heapq.heappop(ready)
        order.append(unit)
        for reader in readers[unit]:
            left[reader] -= 1
            if not left[reader]:
                heapq.heappush(ready, (index[reader], reader))
    return order if len(order) == len(waits) else []
