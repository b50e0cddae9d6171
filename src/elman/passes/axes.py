"""Union-find over axes: which are equal, which are a number or a sum, and what each is called."""

from __future__ import annotations


class Clash(Exception):
    """Two axes that cannot be equal."""

    def __init__(self, one: str, other: str, numbers: bool) -> None:
        super().__init__(one, other)
        self.sizes = (one, other)
        self.numbers = numbers


class Axes:
    """Axes are integers; equal ones share a root, which may be a number, a sum, or named."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.number: dict[int, str] = {}  # root -> "3"
        self.sum: dict[int, tuple[int, ...]] = {}  # root -> the axes that it concatenates
        self.names: dict[str, int] = {}  # size name -> axis

    def new(self) -> int:
        self.parent.append(len(self.parent))
        return len(self.parent) - 1

    def named(self, size: str) -> int:
        """The axis of a declared size: a name, or a number."""
        if size.isdigit():
            axis = self.new()
            self.number[axis] = size
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
            raise Clash(self.number[a], self.number[b], numbers=True)
        parts_a, parts_b = self.sum.pop(a, None), self.sum.pop(b, None)
        self.parent[b] = a
        if b in self.number:
            self.number[a] = self.number.pop(b)
        if parts_a is not None or parts_b is not None:
            self.sum[a] = parts_a or parts_b or ()
        if parts_a and parts_b:
            if len(parts_a) != len(parts_b):
                raise Clash(self.show_parts(parts_a), self.show_parts(parts_b), numbers=False)
            for one, other in zip(parts_a, parts_b, strict=True):
                self.unify(one, other)

    def bind_sum(self, axis: int, parts: tuple[int, ...]) -> None:
        """The axis is the concatenation of `parts`."""
        joined = self.new()
        self.sum[joined] = parts
        self.unify(axis, joined)

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

    def show(self, axis: int) -> str:
        """The size in use: a number, a sum, or the first name given."""
        root = self.root(axis)
        if root in self.number:
            return self.number[root]
        if root in self.sum:
            return self.show_parts(self.sum[root])
        for name, known in self.names.items():
            if self.root(known) == root:
                return name
        return "?"

    def show_parts(self, parts: tuple[int, ...]) -> str:
        return "+".join(self.show(part) for part in parts)

    def aliases(self) -> dict[str, str]:
        """Every name that was given, and the size in use for it."""
        return {name: self.show(axis) for name, axis in self.names.items()}
