"""Union-find over axes: which are equal, which are a number or a sum, and what each is called."""

from __future__ import annotations


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
        """Make two axes equal, or raise Clash."""
        a, b = self.root(a), self.root(b)
        if a == b:
            return
        if a in self.number and b in self.number and self.number[a] != self.number[b]:
            raise Clash(a, b, numbers=True)
        parts_a, parts_b = self.sum.get(a, ()), self.sum.get(b, ())
        if parts_a and parts_b and len(parts_a) != len(parts_b):
            raise Clash(a, b, numbers=False)
        self.parent[b] = a
        if b in self.number:
            self.number[a] = self.number.pop(b)
            self.origin.setdefault(a, self.origin.pop(b))
        if parts_b:
            self.sum.setdefault(a, self.sum.pop(b))
        if parts_a and parts_b:
            for one, other in zip(parts_a, parts_b, strict=True):
                self.unify(one, other)

    def bind_sum(self, axis: int, parts: tuple[int, ...]) -> None:
        """The axis is the concatenation of `parts`."""
        joined = self.new()
        self.sum[joined] = parts
        self.unify(axis, joined)

    def holds_itself(self, axis: int) -> bool:
        """Whether a concatenation has a part of its own size, or a part of a part."""
        seen: set[int] = set()
        stack = [self.root(axis)]
        while stack:
            for part in map(self.root, self.sum.get(stack.pop(), ())):
                if part == self.root(axis):
                    return True
                if part not in seen:
                    seen.add(part)
                    stack.append(part)
        return False

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
        if name in self.names and self.root(self.names[name]) != self.root(axis):
            self.call(axis, name + "_size")
        else:
            self.names.setdefault(name, axis)

    def has_name(self, axis: int) -> bool:
        root = self.root(axis)
        if root in self.number or root in self.sum:
            return True
        return any(self.root(known) == root for known in self.names.values())

    def show(self, axis: int, within: frozenset[int] = frozenset()) -> str:
        """The size in use: a number, a sum, or the first name given; `within` ends a circle."""
        root = self.root(axis)
        if root in self.number:
            return self.number[root]
        if root in self.sum and root not in within:
            return "+".join(self.show(part, within | {root}) for part in self.sum[root])
        for name, known in self.names.items():
            if self.root(known) == root:
                return name
        return "?"

    def aliases(self) -> dict[str, str]:
        """Every name that was given, and the size in use for it."""
        return {name: self.show(axis) for name, axis in self.names.items()}
