"""Random cells for traces, of scalars, vectors of two sizes and matrices.

Drawn from a seed: equations with every function, delays, lines before the first step, streams per
sequence, masks, frozen weights, constants, inner loops and cells that are put in.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

import numpy as np

from elman import Cell
from elman.errors import ElmanError

SHAPES = {"s": "scalar", "n": "n", "m": "m", "w": "n, m"}  # by the first letter of a name


def _forms(text):
    return [form.strip() for line in text.strip().splitlines() for form in line.split("|")]


SAME = _forms("""
tanh({}) | sigmoid({}) | exp(-abs({})) | relu({}) | abs({}) | sin({}) | cos({}) | softplus({})
silu({}) | gelu({}) | elu({}) | log(1.5 + ({}) ** 2) | sqrt(0.5 + abs({})) | log_sigmoid({})
sign({}) | floor({}) | round({}) | step({}) | ({}) ** 2 | -({}) | ({}) / 2 | 1 / (1.5 + abs({}))
({}) + ({}) | ({}) - ({}) | ({}) * ({}) | ({}) / (1.5 + ({}) ** 2) | max({}, {}) | min({}, 0.5, {})
where({} < {}, {}, {}) | ({} > {}) * ({}) | (0.5 + abs({})) ** tanh({}) | ({}) % (1.5 + abs({}))
straight_through(step({}), sigmoid({})) | clip({}, -1, 1) * ({}) | -({}) * -({}) | ({}) - ({} - {})
(1 - sigmoid({})) * ({}) | ({}) / 4 / (1 + exp({} / 8)) | ({} <= {}) * ({}) | minimum({}, {})
""")
OWN = {  # what makes a kind of others, whose letters stand in the brackets
    "s": _forms("""
sum({n}) | mean({m}) | max({n}) | min({m}) | norm({w}) | logsumexp({n}) | einsum("i->", {m})
dot({n}, {n}) | ({m}) @ ({m}) | einsum("i,j->", {n}, {m}) | einsum("ij->", {w}) | max({w})
({n}) @ ({w}) @ ({m}) | sum({w})
"""),
    "n": _forms("""
softmax({n}) | log_softmax({n}) | cumsum({n}) | layer_norm({n}, {n}, {n}) | rms_norm({n}, {n})
({w}) @ ({m}) | ({m}) @ ({w}).T | einsum("ij,j->i", {w}, {m}) | einsum("i,j->i", {n}, {m})
(Q @ [{n}, {m}]) | einsum("hij,j->i", R, {m}) | ({s}) * ({n}) | ({n}) + ({s}) | elu({n}, {s})
"""),
    "m": _forms("""
softmax({m}) | layer_norm({m}) | ({w}).T @ ({n}) | ({n}) @ ({w}) | einsum("ij->j", {w})
(P @ [{n}, {m}, 2]) | einsum("hij,i->j", R, {n}) | ({s}) * ({m}) | clip({m}, -0.5, {s})
"""),
    "w": _forms("""
outer({n}, {m}) | ({s}) * ({w}) | outer({m}, {n}).T | ({w}) @ (({w}).T @ ({w}))
einsum("hij,ij->ij", R, {w}) | einsum("ij->ij", {w}) | (-({w}).T).T
"""),
}
GIVEN = """
xn: n
xm: m
xs: scalar
W: n, m
M: n, m, frozen
R: 2, n, m
Q: n, n + m
P: m, n+m+1
b: n
p: m
k: scalar
v: n, per sequence
ys: scalar, per sequence
c0 = 0.75
cn = softmax(b) - k
A = W - 0.5 * M
mk: bernoulli(0.6), n
S: n, n
a: n
q: n
inner_h: n
"""
FIRST = {
    "s": ["k", "xs[t]", "c0", "2", "ys"],
    "n": ["b", "xn[t]", "v", "cn", "xn[t-1]", "mk[t]"],
    "m": ["p", "xm[t]", "xm[t-2]"],
    "w": ["W", "M", "A"],
}
INNER = ["inner: rnn(x = {})", "inner: gru(x = {})", "inner: lstm(x = {})"]


@dataclass
class _Text:
    random: random.Random
    leaves: dict[str, list[str]] = field(
        default_factory=lambda: {k: [*v] for k, v in FIRST.items()}
    )

    def value(self, kind: str, depth: int) -> str:
        """A right side of that kind."""
        if depth <= 0 or self.random.random() < 0.12:
            return self.random.choice(self.leaves[kind])
        form = self.random.choice(self.random.choice((SAME, OWN[kind])))
        form = form.replace("{}", f"{{{kind}}}")
        return re.sub(r"\{(\w)\}", lambda hole: self.value(hole[1], depth - 1), form)

    def lines(self) -> list[str]:
        draw, lines = self.random, []
        kinds = [draw.choice("snnmmw") for _ in range(draw.randint(1, 4))]
        names = [f"{kind}{k}" for k, kind in enumerate(kinds)]
        for kind, name in zip(kinds, names, strict=True):
            self.leaves[kind] += [f"{name}[t-{lag}]" for lag in draw.choice([(1,), (1, 2), (1, 3)])]
        if draw.random() < 0.3:
            rounds = draw.randint(1, 3)
            lines += [f"l = 1..{rounds}", f"q[t,0] = {self.value('n', 2)}"]
            lines += ["q[t,l] = tanh(S[l] @ q[t,l-1] + a[l] * q[t-1,l]) / l"]
            self.leaves["n"] += [f"q[t,{rounds}]"] * 2
        if draw.random() < 0.3:
            lines.append(draw.choice(INNER).format(self.value("n", 2)))
            self.leaves["n"] += ["inner_h[t]"] * 2
        self.leaves["s"] += ["t / 4"] * (draw.random() < 0.3)
        for kind, name in zip(kinds, names, strict=True):
            value = self.value(kind, draw.randint(1, 4))
            spread = f"sum({name}[t-1])" if kind == "w" else f"{name}[t-1]"
            lines.append(f"{name}[t] = {draw.choice(['tanh({})', '{}', '{}']).format(value)}")
            self.leaves[kind] += [f"{name}[t]"] * 2
            if draw.random() < 0.3:
                lines[-1] += f" + 0.1 * {spread}"
                lines += [f"{name}[0] = tanh({name}_0)", f"{name}_0: {SHAPES[kind]}"]
        reads = [f"{x}[t]" for x in ("xn", "xm") if any(f"{x}[t-" in line for line in lines)]
        sums = " + ".join(f"0.1 * sum({read})" for read in reads)
        lines += [f"z[t] = {sums or '0.5 * t'}", f"return {', '.join([*names, 'z'])}"]
        return lines


def text(seed: int) -> str:
    lines = _Text(random.Random(seed)).lines()
    given, body = GIVEN.strip().splitlines(), "\n".join(lines)
    while True:  # what nothing reads is not declared
        whole = [*given, *lines]
        kept = []
        for line in given:
            name = re.split(r" =|:", line)[0]
            others = "\n".join(each for each in whole if each is not line)
            pattern = r"^inner:" if name == "inner_h" else rf"(?<!\w){name}(?!\w)"
            kept += [line] * bool(re.search(pattern, others, re.MULTILINE))
        if kept == given:
            return "\n".join([*given, body])
        given = kept


def cells(seeds, least=1):
    """Those of the seeds whose text is a cell, each with what it is given and cotangents."""
    for seed in seeds:
        try:
            cell = Cell(text(seed), f"drawn {seed}")
        except ElmanError:
            continue  # a type that inference cannot tell, such as of a vector before @
        yield cell, data(cell, seed, least)


def data(cell, seed, least=1, scale=1.0):
    """Inputs, weights and some first states, all sizes drawn from `least` to 4, and cotangents."""
    random = np.random.default_rng(seed)
    steps = int(random.integers(1, 5))
    names = (*cell.parameters, *cell.inputs, *cell.outputs)
    sizes = {p for name in names for s in cell.typed.shape(name) for p in str(s).split("+")}
    numbers = {
        size: int(random.integers(least, 5)) for size in sorted(sizes) if size.isidentifier()
    }
    shapes = cell.shapes(**numbers)

    def drawn(name, lead=()):
        return random.normal(size=(*lead, *shapes[name])) * scale

    streams = {name: (steps,) * ("t" in cell.typed.over[name]) for name in cell.inputs}
    keys = [key for key in cell.states if key != "t" and random.random() < 0.4]
    outputs = [name for name in cell.returns if random.random() < 0.6] or [*cell.returns[:1]]
    return {
        "inputs": {name: drawn(name, lead) for name, lead in streams.items()},
        "weights": {name: drawn(name) for name in cell.parameters},
        "state": {key: drawn(key.partition("[")[0]) for key in keys},
        "cotangents": {name: drawn(name, (steps,)) for name in outputs},
        "sizes": numbers,
        "steps": None if any(streams.values()) else steps,
        "seed": int(random.integers(99)) if cell.random and random.random() < 0.6 else None,
    }
