"""What other notations have and this one says otherwise: the words that errors answer with."""

from __future__ import annotations

# words that begin or join Python statements: what they are, and how it is said here
WORDS = {
    "if": ("`if` chooses between statements", "Choose between values: where(c, a, b)."),
    "else": ("`else` chooses between statements", "Choose between values: where(c, a, b)."),
    "elif": ("`elif` chooses between statements", "Choose between values: where(c, a, b)."),
    "for": ("there are no loops", "The step over t is the only loop: write what happens at [t]."),
    "while": ("there are no loops", "The step over t is the only loop: write what happens at [t]."),
    "in": ("there are no loops", "The step over t is the only loop: write what happens at [t]."),
    "lambda": ("there are no lambda functions", "As a name write `lam` or `λ`."),
    "def": ("functions are not defined here", "Write its body's equations: h[t] = ..."),
    "class": ("classes are not defined here", "Write the equations alone: h[t] = ..."),
    "import": ("nothing is imported here", "tanh, sigmoid, exp ... are known already."),
    "from": ("nothing is imported here", "tanh, sigmoid, exp ... are known already."),
    "with": ("`with` is not part of the language", "Write equations: h[t] = ..."),
    "and": ("`and` is not part of the language", "Conditions are 0 or 1: write (a < b) * (c < d)."),
    "or": ("`or` is not part of the language", "Conditions are 0 or 1: write max(a < b, c < d)."),
    "not": ("`not` is not part of the language", "Conditions are 0 or 1: write 1 - (a < b)."),
    "is": ("`is` is not part of the language", "Compare values with ==."),
    "None": ("`None` is not part of the language", "Leave the term out."),
    "True": ("`True` is not part of the language", "Write 1."),
    "False": ("`False` is not part of the language", "Write 0."),
    "return": ("`return` stands in the middle of a line", "Put `return h` on a line of its own."),
}

DOWN_TACK = "\N{DOWN TACK}"  # a transpose, as \top prints it

# signs: what the user may have meant, as (what is wrong, the fix)
SIGNS = {
    "^": ("^ is not an operator here", "A power is **: write h[t]**2."),
    "//": ("// is not an operator here", "Divide with /; a comment begins with #."),
    ".*": (".* is not an operator here", "* is elementwise already: write z[t] * h[t-1]."),
    "&": ("& is not an operator here", "Conditions are 0 or 1: write (a < b) * (c < d)."),
    "&&": ("&& is not an operator here", "Conditions are 0 or 1: write (a < b) * (c < d)."),
    "|": ("| is not an operator here", "An absolute value is abs(x)."),
    "||": ("|| is not an operator here", "A Euclidean length is norm(x)."),
    "~": (
        "~ is not an operator here",
        "A mask is declared, m: bernoulli(0.9); a condition is turned around by 1 - (a < b).",
    ),
    "?": ("? is not an operator here", "Choose between values: where(c, a, b)."),
    "!": ("! is not an operator here", "Conditions are 0 or 1: write 1 - (a < b)."),
    ";": ("; does not end an equation", "Write one equation a line."),
    "{": ("{ is not a bracket here", "Group with ( ); concatenation has square brackets, [a, b]."),
    "}": ("} is not a bracket here", "Group with ( )."),
    "'": ("' is not an operator here", "The transpose of U is U.T; the step before is h[t-1]."),
    "·": (
        "· may mean two products",
        "Write W @ x[t] (matrix product) or z[t] * h[t-1] (elementwise).",
    ),
    "⋅": (
        "⋅ may mean two products",
        "Write W @ x[t] (matrix product) or z[t] * h[t-1] (elementwise).",
    ),
    "•": (
        "• may mean two products",
        "Write W @ x[t] (matrix product) or z[t] * h[t-1] (elementwise).",
    ),
    "×": (
        "× may mean two products",
        "Write W @ x[t] (matrix product) or z[t] * h[t-1] (elementwise).",
    ),
    "÷": ("÷ is not an operator here", "Divide with /."),
    "←": ("← does not define a name", "Write h[t] = ..."),
    "ᵀ": ("ᵀ is not read", "The transpose of U is U.T."),
    DOWN_TACK: (f"{DOWN_TACK} is not read", "The transpose of U is U.T."),
    "²": ("² is not read", "Write a power with **: h[t]**2."),
    "³": ("³ is not read", "Write a power with **: h[t]**3."),
    "ₜ": ("the subscript ₜ is not read", "Time stands in brackets: h[t], h[t-1]."),
    "√": ("√ is not read", "Write sqrt(x)."),
    "Σ": ("Σ is not a function here", "Write sum(x)."),
    "\\": (
        "\\ begins a LaTeX command",
        "Read LaTeX with Cell.from_latex, or write Python's notation.",
    ),
    "$": ("$ is not part of the language", "Read LaTeX with Cell.from_latex."),
    ":=": (":= does not define a name", "Write h[t] = ..."),
    ":": (
        "a colon stands inside an expression",
        "A declaration has its own line: U: hidden, hidden.",
    ),
}
SIGNS |= {
    sign + "=": (f"{sign}= changes a value in place", f"Write h[t] = h[t-1] {sign} ...")
    for sign in ("+", "-", "*", "/", "@", "**")
}
SIGNS |= {
    sign + "=": (f"{sign}= is not an operator here", "Write h[t] = ...")
    for sign in ("//", "%", "^")
}

# functions of other libraries: how the same is said here
FUNCTIONS = {
    "cat": "Concatenate with brackets: [a, b].",
    "concat": "Concatenate with brackets: [a, b].",
    "concatenate": "Concatenate with brackets: [a, b].",
    "hstack": "Concatenate with brackets: [a, b].",
    "stack": "Concatenate with brackets: [a, b].",
    "array": "Name the numbers on a line of their own: k = [0.1, 0.2].",
    "tensor": "Name the numbers on a line of their own: k = [0.1, 0.2].",
    "matmul": "Write the product W @ x[t].",
    "mm": "Write the product W @ x[t].",
    "mv": "Write the product W @ x[t].",
    "linear": "Write the product W @ x[t] + b.",
    "Linear": "Write the product W @ x[t] + b.",
    "transpose": "Write U.T.",
    "pow": "Write a ** b.",
    "power": "Write a ** b.",
    "multiply": "Write a * b.",
    "mul": "Write a * b.",
    "add": "Write a + b.",
    "sigma": "The logistic function is sigmoid(x), or σ(x).",
    "sig": "The logistic function is sigmoid(x), or σ(x).",
    "sigm": "The logistic function is sigmoid(x), or σ(x).",
    "s": "The logistic function is sigmoid(x), or σ(x).",
    "th": "The hyperbolic tangent is tanh(x).",
    "ln": "The natural logarithm is log(x).",
    "fabs": "The absolute value is abs(x).",
    "LN": "Layer normalisation is layer_norm(x).",
    "phi": "Name the function: tanh(x), relu(x), ...",
    "φ": "Name the function: tanh(x), relu(x), ...",
    "f": "Name the function: tanh(x), relu(x), ...",
    "g": "Name the function: tanh(x), relu(x), ...",
    "len": "A mean is mean(x).",
    "square": "Write a**2.",
    "leaky_relu": "Write max(a, 0.01 * a).",
    "hard_sigmoid": "Write clip(a / 6 + 0.5, 0, 1).",
    "hardsigmoid": "Write clip(a / 6 + 0.5, 0, 1).",
    "hard_tanh": "Write clip(a, -1, 1).",
    "hardtanh": "Write clip(a, -1, 1).",
    "mish": "Write a * tanh(softplus(a)).",
    "softsign": "Write a / (1 + abs(a)).",
    "hardswish": "Write a * clip(a / 6 + 0.5, 0, 1).",
    "bernoulli": "A mask has a line of its own, m: bernoulli(0.9), and is read as m[t].",
    "dropout": "Declare a mask, m: bernoulli(0.9), and multiply by m[t].",
    "zeros": "One number fills a vector: h[0] = 0. States begin at zero of themselves.",
    "ones": "One number fills a vector: h[0] = 1.",
    "eye": "Give the matrix a line of its own: I = [[1, 0], [0, 1]].",
    "identity": "Give the matrix a line of its own: I = [[1, 0], [0, 1]].",
    "diag": "A diagonal matrix times a vector is an elementwise product: d * x[t].",
    "range": "The rounds of an inner loop are l = 1..3.",
    "lstm": "A cell is put in by a line of its own, inner: lstm(x = ...), and read as inner_h[t].",
    "gru": "A cell is put in by a line of its own, inner: gru(x = ...), and read as inner_h[t].",
    "rnn": "A cell is put in by a line of its own, inner: rnn(x = ...), and read as inner_h[t].",
}
FUNCTIONS |= {name.capitalize(): FUNCTIONS[name] for name in ("bernoulli", "dropout")}
FUNCTIONS |= {name.upper(): FUNCTIONS[name] for name in ("lstm", "gru", "rnn")}

# methods of arrays: how the same is said here, with the array's name in the place of {}
METHODS = {
    "dot": "Write {} @ x[t].",
    "matmul": "Write {} @ x[t].",
    "mm": "Write {} @ x[t].",
    "mv": "Write {} @ x[t].",
    "transpose": "Write {}.T.",
    "t": "Write {}.T.",
    "T": "Write {}.T.",
    "mT": "Write {}.T.",
    "H": "Write {}.T.",
    "pow": "Write {}**2.",
    "square": "Write {}**2.",
    "mul": "Write {} * x[t].",
    "add": "Write {} + x[t].",
}
MODULES = ("np", "numpy", "torch", "math", "F", "nn", "jnp", "jax", "tf")

# sizes that say what a thing is instead of how long its axes are
SHAPE_WORDS = {
    "vector": "W: hidden",
    "matrix": "W: hidden, input",
    "array": "W: hidden, input",
    "tensor": "W: hidden, input",
    "float": "alpha: scalar",
    "int": "alpha: scalar",
    "number": "alpha: scalar",
}
