"""Short rules for texts that grow: deep, long, wide, or standing for far more than they say."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Bomb = Callable[[Random], str]
FEW = (2, 20, 60, 99, 101, 300)
MANY = (20, 300, 300, 1000, 3000)
LONG = (1000, 10_000, 1_000_000)

NESTS = (
    ("h[t] = ", "(", "x[t]", ")"),
    ("h[t] = ", "tanh(", "x[t]", ")"),
    ("h[t] = ", "[", "x[t]", "]"),
    ("h[t] = ", "-", "x[t]", ""),
    ("h[t] = ", "max(x[t], ", "x[t]", ")"),
    ("P = ", "[", "1", "]"),
    ("h[t] = ", "where(x[t] < 0, x[t], ", "x[t]", ")"),
    ("h[t] = ", "W @ (h[t-1] + ", "x[t]", ")"),
    ("h[t] = ", "[x[t], tanh(", "x[t]", ")]"),
    ("h[t] = ", "x[t]**", "2", ""),
    ("h[t] = ", "layer_norm(", "x[t]", ")"),
    ("h[t] = ", "softmax(", "x[t]", ")"),
    ("h[t] = ", "x[", "t", "]"),
    ("a: lstm(x = ", "tanh(", "x[t]", ")"),
    ("h[t] = ", "W.T", "", ".T"),
    ("m: ", "bernoulli(", "0.5", ")"),
    ("h[t] = x[t]", ".T", "", ""),
    ("h[t] = ", "not ", "x[t]", ""),
    ("h_t = ", "\\frac{1}{", "x_t", "}"),
    ("h_t = ", "\\frac{", "x_t", "}{2}"),
    ("h_t = ", "\\left(", "x_t", "\\right)"),
    ("h_t = ", "\\left(", "x_t", ")"),
    ("h_t = ", "{", "x_t", "}"),
    ("h_t = ", "[", "x_t", "]"),
    ("h_t = ", "\\sqrt{", "x_t", "}"),
    ("h_t = ", "\\hat{", "x", "}_t"),
    ("h_t = ", "\\mathbf{", "x", "}_t"),
    ("h_t = x", "_{", "t", "}"),
    ("h_t = x", "^{", "t", "}"),
    ("h_t = ", "\\text{", "x", "}"),
    ("h_t = ", "|", "x_t", "|"),
    ("", "\\begin{align}", "h_t &= x_t", "\\end{align}"),
    ("", "$", "h_t = x_t", "$"),
    ("h_t = ", "\\begin{cases}", "x_t", "\\end{cases}"),
    ("", "\\[", "h_t = x_t", "\\]"),
    ("h_t = ", "\\begin{bmatrix}", "x_t", "\\end{bmatrix}"),
    ("h_t = ", "\\underbrace{", "x_t", "}_{a}"),
    ("h_t = ", "\\tanh", " x_t", ""),
    ("h_t = ", "-", "x_t", ""),
    ("h_t = ", "\\hat", "x_t", ""),
    ("h_t = ", "\\sum_{i=1}^{9}", "x_t", ""),
    ("h_t = ", "\\frac", "12", ""),
    ("", "```\n", "h_t = x_t", ""),
    ("h_t = ", "\\mathrm{softmax}(", "x_t", ")"),
    ("h_t = x_t", "'", "", ""),
    ("h_t = ", "e^{", "x_t", "}"),
)


def nest(rng: Random) -> str:
    start, opening, inside, closing = rng.choice(NESTS)
    count = rng.choice((*FEW, 1000, 10_000))
    return start + opening * count + inside + closing * (count - rng.choice((0, 0, 0, 1)))


def chain(rng: Random) -> str:
    """One operator between as many terms, which are alike or each has its own name."""
    operator = rng.choice(
        (" + ", " * ", " @ ", ", ", " < ", "**", " ", "-", "/", "%", " \\odot ", "&", "\\\\")
    )
    term = rng.choice(
        ("x[t]", "W{} @ x[t]", "b{}", "x[t-{}]", "x{}[t]", "tanh(b{})", "2", "[b{}, x[t]]")
    )
    if rng.random() < 0.4:
        term = rng.choice(
            ("x_t", "W_{{{}}} x_t", "b_{{{}}}", "x_{{t-{}}}", "x^{{({})}}_t", "\\tanh(b_{})")
        )
    left = "h_t = " if "_t" in term or "_{" in term else "h[t] = "
    return left + operator.join(term.format(k) for k in range(rng.choice(MANY)))


def doubling(rng: Random) -> str:
    """Every line reads the line above twice: written out, there are 2**count terms."""
    twice = (
        "y{0}[t] * y{0}[t]",
        "[y{0}[t], y{0}[t]]",
        "y{0}[t] @ y{0}[t]",
        "tanh(y{0}[t]) + y{0}[t]",
        "outer(y{0}[t], y{0}[t])",
        "where(y{0}[t] < 1, y{0}[t], y{0}[t])",
        "y{0}[t]**y{0}[t]",
        "softmax(y{0}[t]) + y{0}[t-1]",
        "W @ [y{0}[t], y{0}[t-1]]",
        "[y{0}[t-1], y{0}[t]]",
        "y{0}[t] % y{0}[t]",
        "layer_norm(y{0}[t]) * y{0}[t-1]",
        "[[y{0}[t], x[t]], y{0}[t]]",
    )
    form = rng.choice(twice)
    count = rng.choice((5, 20, 30, 60, 200))
    wrong = rng.choice(("", "", "h: 3\n", "x: 3\nh: 7\n", "W: 3, 4\n"))
    lines = [f"y{k + 1}[t] = {form.format(k)}" for k in range(count)]
    if rng.random() < 0.3:
        lines.reverse()
    return f"{wrong}y0[t] = x[t] + h[t-1]\n" + "\n".join(lines) + f"\nh[t] = y{count}[t]"


def doubling_weights(rng: Random) -> str:
    form = rng.choice(
        ("A{0} @ A{0}", "A{0} * A{0}", "A{0} - A{0}.T", "A{0} + A{0}", "exp(A{0}) / A{0}")
    )
    count = rng.choice((5, 30, 60, 200))
    lines = [f"A{k + 1} = {form.format(k)}" for k in range(count)]
    return "\n".join(lines) + f"\nh[t] = A{count} @ h[t-1] + x[t]"


def doubling_page(rng: Random) -> str:
    """The same with the functions that a page defines."""
    name = "abcdefgijklmnopqrsuvwyz"
    count = rng.choice((3, 8, len(name) - 1))
    lines = [
        f"{name[k]}(x) = {name[k + 1]}(x) {rng.choice('+* ')} {name[k + 1]}(x)"
        for k in range(count)
    ]
    last = rng.choice((f"{name[count]}(x) = x x", f"{name[count]}(x) = {name[0]}(x)", ""))
    if rng.random() < 0.5:
        lines.reverse()
    return "\\\\\n".join([*lines, last, f"h_t = {name[0]}(W x_t + {name[0]}(h_{{t-1}}))"])


def macros(rng: Random) -> str:
    """Definitions of TeX, which are not read, whatever they would grow to."""
    define = rng.choice(
        ("\\newcommand{{\\{0}}}{{\\{1}\\{1}}}", "\\def\\{0}{{\\{1}\\{1}}}", "\\{0} = \\{1} \\{1}")
    )
    letters = "abcdefgij"
    lines = [define.format(a, b) for a, b in zip(letters, letters[1:] + "a", strict=True)]
    return "\n".join(lines) + "\n$h_t = \\a x_t$"


def rounds(rng: Random) -> str:
    """Inner loops with bounds that no machine could count to, and loops within loops."""
    bounds = (
        "1..3",
        "1..1000000000",
        "0..99",
        "1..100",
        "3..1",
        "-5..5",
        "1..L",
        "L..M",
        "1..9" + "9" * 5000,
    )
    letters = "lkjim"[: rng.randint(1, 5)]
    lines = [f"{letter} = {rng.choice(bounds)}" for letter in letters]
    lines += [
        f"L = {rng.choice(('3', '1e300', '1e999', '2.5', '-1', '1000000000', '[1, 2]'))}",
        "M = 2",
    ]
    for letter in letters:
        wide = " + ".join([f"R[{letter}] @ s[t,{letter}-1]"] * rng.choice((1, 3, 500)))
        lines += ["s[t,0] = h[t-1] + x[t]", f"s[t,{letter}] = {wide}"] * rng.choice((1, 1, 30))
    if rng.random() < 0.3:
        rng.shuffle(lines)
    return "\n".join([*lines, f"h[t] = s[t,{rng.choice(('3', 'L', '1', '99', '9' * 30))}]"])


def inner_cells(rng: Random) -> str:
    """Cells in cells, each reading the one before."""
    names = ("lstm", "gru", "fast_slow_rnn", "nested_lstm", "lmu", "rhn", "self", "no_such_cell")
    count = rng.choice((1, 5, 30, 400))
    lines, value = [], "x[t]"
    for k in range(count):
        lines.append(f"c{k}: {rng.choice(names[:3] if count < 9 else names[:2])}(x = {value})")
        value = rng.choice((f"c{k}_h[t]", f"c{k}_h[t] * c{k}_h[t]", f"[c{k}_h[t], x[t]]"))
    if rng.random() < 0.3:
        lines.append(f"d: {rng.choice(names)}(x = x[t], h = d_h[t-1])")
    return "\n".join([*lines, f"h[t] = {value}"])


def einsum(rng: Random) -> str:
    letters = (
        "ij,j->i",
        "hij,hj->hi",
        "ii->i",
        "->",
        "i,i",
        "ij" * 500 + "->",
        "α,α->α",
        "i,j->k",
        "ij->",
        ",->",
        "i" * 10_000,
        "...i->i",
        "I\u0302,I\u0302->",
        "ijk,ijk->ijk",
        "a,b,c->abc",
        "\x00,\x00->\x00",
    )
    spec = rng.choice(letters)
    if rng.random() < 0.5:
        spec = "".join(rng.choices("ijkl,->.", k=rng.randint(0, 12)))
    args = ", ".join(
        rng.choices(("W", "x[t]", "h[t-1]", "1", "[x[t], x[t]]", "W @ U"), k=rng.randint(0, 4))
    )
    return f'h[t] = einsum("{spec}"{", " * bool(args)}{args})'


def long_thing(rng: Random) -> str:
    """A name, number, comment, remark or line of many characters."""
    count = rng.choice(LONG)
    things = (
        "h[t] = {a}[t]",
        "{a}[t] = x[t]",
        "h[t] = x[t] # {a}",
        "h[t] = {n}",
        "h[t] = 0.{n}",
        "h[t] = 1e{n}",
        "W: {n}, 2\nh[t] = W @ x[t]",
        "h[t] = x[t-{n}]",
        "h[t] = x[t]**{n}",
        "{s}h[t] = x[t]",
        "h[t] = x[t]{s}",
        "{l}h[t] = x[t]",
        "h[t] = x[t]{l}",
        "a: {a}(x = x[t])",
        "return {a}",
        "m: bernoulli({n})",
        "h[-{n}] = b",
        'h[t] = einsum("{a}", W)',
        "{a}",
        "h[t] = {a}(x[t])",
        "h[t] = x{u}[t]",
        "h_t = \\{a} x_t",
        "h_t = x_{{t-{n}}}",
        "h_t = {n} x_t",
        "h_t = \\text{{{a}}}_t",
        "h_t = {a}_t",
        "{a} $h_t = x_t$",
        "$h_t = x_t$ {a}",
        "h_t = x_{{{a},t}}",
        "\\begin{{{a}}} h_t = x_t",
        "h_t = x_t % {a}",
        "h_t = x{u}_t",
        "h_t = x_{{t,{a}}}",
        "where $\\sigma$ is {a}.",
        "h_t = x_t \\\\[{n}em]",
        "h_t = \\sum_{{i=1}}^{{{n}}} x_t",
        "h_t = \\hspace{{{n}em}} x_t",
        "h_t = x{p}_t",
    )
    parts = {
        "a": "a" * count,
        "n": "9" * count,
        "s": " " * count,
        "l": "\n" * count,
        "u": "\u0302" * count,
    }
    return rng.choice(things).format(**parts, p="'" * count)


def many_lines(rng: Random) -> str:
    """As many lines of one kind, in order or turned round."""
    forms = (
        "a{0}[t] = a{1}[t]",
        "a{0}[t] = W{0} @ a{1}[t-1] + b{0}",
        "a{1}[t] = a{0}[t]",
        "a{0} = {0}",
        "W{0}: hidden, a{0}",
        "a{0}: bernoulli(0.5)",
        "a{0}[0] = b{0}",
        "h[-{0}] = b",
        "a{0}[t] = [a{1}[t], x[t]]",
        "# {0}",
        "a = {0}..{1}",
        "a{0}[t] = a{1}[t] * x{0}[t]",
        "return a{0}",
        "a{0}: gru(x = x[t])",
        "a{0}[t] = x[t-{0}]",
        "[{0}, {1}],",
        "a_{{{0},t}} = a_{{{1},t}}\\\\",
        "a_{0} &= W_{{{0}}} x_t + b_{{{1}}}\\\\",
        "$a_{{{0}}}$ is a gate",
        "a^{{({0})}}_t = x_t,",
        "\\begin{{align}} a_t = x_t \\end{{align}}",
        "$$h_t = x_t$$",
        "a{0}[t] = sigmoid(W @ x[t] + U @ a{1}[t-1])",
    )
    form, count = rng.choice(forms), rng.choice(MANY)
    lines = [form.format(k, k + 1) for k in range(count)]
    if rng.random() < 0.3:
        lines.reverse()
    return "\n".join(
        [*lines, rng.choice(("h[t] = x[t] + a1[t]", "h_t = x_t", "h[t] = x[t] + h[t-9]", ""))]
    )


def matrix(rng: Random) -> str:
    """Numbers in rows, now and then one too few."""
    rows, columns = rng.choice((1, 3, 40, 150)), rng.choice((1, 3, 40, 150))
    number = rng.choice(("1", "-0.5", "1e999", "9" * 50, "x_t", "b_1"))
    if rng.random() < 0.5:
        inside = ", ".join(
            f"[{', '.join([number] * (columns - rng.choice((0, 0, 0, 1))))}]" for _ in range(rows)
        )
        return f"P = [{inside}]\nh[t] = P @ h[t-1] + x[t]"
    kind = rng.choice(("bmatrix", "pmatrix", "cases", "array", "matrix"))
    inside = "\\\\".join("&".join([number] * columns) for _ in range(rows))
    return f"h_t = \\begin{{{kind}}}{inside}\\end{{{kind}}} h_{{t-1}} + x_t"


def sizes(rng: Random) -> str:
    """Sizes that are sums of sums, and names of sizes by the hundred."""
    count = rng.choice(FEW)
    many = "+".join(f"n{k}" for k in range(count))
    shapes = (
        many,
        "+".join(["999999999"] * count),
        "+".join(["h"] * count),
        f"{many}, {many}, {many}",
    )
    joined = ", ".join(["x[t]", "h[t-1]"] * count)
    return (
        f"W: {rng.choice(shapes)}\nU: hidden, {many}\nh[t] = tanh(W @ [{joined}] + U @ [{joined}])"
    )


BOMBS: tuple[Bomb, ...] = (
    nest,
    nest,
    nest,
    chain,
    chain,
    doubling,
    doubling,
    doubling_weights,
    doubling_page,
    macros,
    rounds,
    rounds,
    inner_cells,
    einsum,
    einsum,
    long_thing,
    long_thing,
    many_lines,
    many_lines,
    matrix,
    sizes,
)
