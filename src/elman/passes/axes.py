"""Union-find over axes: which are equal, which are a number or a sum, and what each is called."""

from __future__ import annotations

from collections.abc import Iterator

MOST_PARTS = 1000  # of a concatenation of concatenations; twelve lines can ask for millions


class Clash(Exception):
    """Two axes that cannot be equal: two numbers, or concatenations of different parts."""

    def __init__(self, one: int, other: int, numbers: bool) -> None:
        super().__init__(one, other)
        self.axes = (one, other)
        self.numbers = numbers


class Axes:
    """Axes are integers; equal ones share a root, which may be a number, a sum, or named."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.number: dict[int, str] = {}  # root -> "3"
        self.sum: dict[int, tuple[int, ...]] = {}  # root -> the axes that it concatenates
        self.origin: dict[int, str] = {}  # root with a number -> where the number comes from
        self.names: dict[str, int] = {}  # size name -> axis
        self._first: dict[int, str] | None = None  # root -> its first name; None: to be found

    def new(self) -> int:
        self.parent.append(len(self.parent))
        return len(self.parent) - 1

    def named(self, size: str, origin: str = "") -> int:
        """The axis of a declared size: a name, or a number that remembers its origin."""
        if size.isdigit():
            axis = self.new()
            self.number[axis], self.origin[axis] = size, origin
            return axis
        if size not in self.names:
            self.names[size] = self.new()
        return self.names[size]

    def root(self, axis: int) -> int:
        while self.parent[axis] != axis:
            self.parent[axis] = self.parent[self.parent[axis]]
            axis = self.parent[axis]
        return axis

    def unify(self, a: int, b: int) -> None:
        """Make two axes equal, and so the parts of two concatenations; or raise Clash."""
        pairs = [(a, b)]
        while pairs:
            a, b = map(self.root, pairs.pop())
            if a != b:
                pairs += reversed(self._merge(a, b))

    def _merge(self, a: int, b: int) -> list[tuple[int, int]]:
        """Make two roots one; the parts that are equal then."""
        if a in self.number and b in self.number and self.number[a] != self.number[b]:
            raise Clash(a, b, numbers=True)
        parts_a, parts_b = self.sum.get(a, ()), self.sum.get(b, ())
        if parts_a and parts_b and len(parts_a) != len(parts_b):
            raise Clash(a, b, numbers=False)
        self.parent[b] = a
        self._first = None
        if b in self.number:
            self.number[a] = self.number.pop(b)
            self.origin.setdefault(a, self.origin.pop(b))
        if parts_b:
            self.sum.setdefault(a, self.sum.pop(b))
        return list(zip(parts_a, parts_b, strict=True)) if parts_a and parts_b else []

    def bind_sum(self, axis: int, parts: tuple[int, ...]) -> None:
        """The axis is the concatenation of `parts`."""
        joined = self.new()
        self.sum[joined] = parts
        self.unify(axis, joined)

    def circle(self) -> set[int]:
        """The roots of concatenations that are parts of one another, of one such circle."""
        done: set[int] = set()
        for start in map(self.root, list(self.sum)):
            path = {start: self._parts(start)}  # each with the parts that are still to be seen
            while path:
                axis, rest = next(reversed(path.items()))
                part = next((part for part in rest if part not in done), None)
                if part is None:
                    path.popitem()
                    done.add(axis)
                elif part in path:
                    chain = list(path)
                    return set(chain[chain.index(part) :])
                else:
                    path[part] = self._parts(part)
        return set()

    def _parts(self, root: int) -> Iterator[int]:
        return map(self.root, self.sum.get(root, ()))

    def settle(self, axis: int) -> bool:
        """Solve a concatenation where one number is open; whether anything was learned."""
        root = self.root(axis)
        parts = [self.root(part) for part in self.sum[root]]
        known = [int(self.number[part]) for part in parts if part in self.number]
        unknown = [part for part in parts if part not in self.number]
        if not unknown and root not in self.number:
            self.number[root], self.origin[root] = str(sum(known)), "its parts"
            return True
        if root in self.number and len(unknown) == 1:
            rest = int(self.number[root]) - sum(known)
            if rest > 0 and unknown[0] not in self.sum:
                self.number[unknown[0]], self.origin[unknown[0]] = str(rest), self.origin[root]
                return True
        return False

    def is_settled(self, axis: int) -> bool:
        """Whether the size of a concatenation and those of its parts can both hold."""
        root = self.root(axis)
        if root not in self.number:
            return True
        parts = [self.number.get(self.root(part)) for part in self.sum[root]]
        return sum(int(part or 0) for part in parts) == int(self.number[root]) and None not in parts

    def call(self, axis: int, name: str) -> None:
        """Name an axis; a second name becomes an alias, a name taken elsewhere is varied."""
        while name in self.names and self.root(self.names[name]) != self.root(axis):
            name += "_size"
        self.names.setdefault(name, axis)
        self._known().setdefault(self.root(axis), name)

    def _known(self) -> dict[int, str]:
        if self._first is None:
            self._first = {}
            for name, axis in self.names.items():
                self._first.setdefault(self.root(axis), name)
        return self._first

    def has_name(self, axis: int) -> bool:
        root = self.root(axis)
        return root in self.number or root in self.sum or root in self._known()

    def show(self, axis: int) -> str:
        """The size in use: a number, a sum, or the first name given; a long sum is cut short."""
        return "+".join(self._terms(axis))

    def is_long(self, axis: int) -> bool:
        """Whether it has more parts than a cell needs."""
        return len(self._terms(axis)) > MOST_PARTS

    def _terms(self, axis: int) -> list[str]:
        terms: list[str] = []
        within: set[int] = set()  # the sums that are being written: a part of itself ends a circle
        waiting = [self.root(axis)]
        while waiting and len(terms) <= MOST_PARTS:
            root = waiting.pop()
            if root < 0:
                within.remove(~root)
            elif root in self.sum and root not in self.number and root not in within:
                within.add(root)
                waiting += [~root, *reversed([*self._parts(root)])]
            else:
                terms.append(self.number.get(root) or self._known().get(root, "?"))
        return [*terms[:MOST_PARTS], "..."] if waiting and max(waiting) >= 0 else terms

    def aliases(self) -> dict[str, str]:
        """Every name that was given, and the size in use for it."""
        shown: dict[int, str] = {}
        for axis in self.names.values():
            root = self.root(axis)
            if root not in shown:
                shown[root] = self.show(root)
        return {name: shown[self.root(axis)] for name, axis in self.names.items()}
