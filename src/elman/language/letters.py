r"""Names as a page prints them: Greek letters, accents, indices; one table for every notation.

A name is cut at its underscores: a letter, its accent, its indices. `W_z` is W_z, `W_ih_f` is
W_{ih,f}, `alpha` is \alpha, `h_hat_c` is \hat{h}_c, `b_c_hat` is b_{\hat{c}}; a first part of
several characters is one word, \mathit{cell}. What LaTeX would read otherwise stands whole in
\mathit, underscores and all: `W_t`, whose index would be the time, is \mathit{W\_t}, and `I`, the
identity of a page, is \mathit{I}. So two names never look alike, and each reads back to itself.

Unicode letters stay what they are: `ĉ` is the letter ĉ, and `c_hat` is \hat{c}.
"""

from __future__ import annotations

import re

_GREEK_WORDS = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lam mu nu xi pi rho sigma tau upsilon
    phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega
"""
# how Python's notation writes a Greek letter -> the letter; `lambda` is a word of Python
GREEK = dict(zip(_GREEK_WORDS.split(), "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", strict=True))
# names that LaTeX has a command for -> the command
COMMANDS = {word: rf"\{word}" for word in GREEK} | {"lam": r"\lambda"}
COMMANDS |= {
    word: rf"\{word}"
    for word in ("varepsilon", "vartheta", "varpi", "varrho", "varsigma", "varphi", "ell")
}
# the last part of `c_hat`; LaTeX has a command of the same name
ACCENTS = ("hat", "tilde", "bar", "dot", "ddot", "check", "breve")

# functions without a command of their own -> their printed name: \operatorname{ReLU}(x)
_PRINTED_ALIKE = """
    sign softplus softmax sum mean clip where dot outer concat transpose round step cumsum
"""
OPERATORS = {name: name for name in _PRINTED_ALIKE.split()}
OPERATORS |= {
    "relu": "ReLU",
    "ReLU": "ReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "swish": "SiLU",
    "elu": "ELU",
    "layer_norm": "LayerNorm",
    "rms_norm": "RMSNorm",
    "log_softmax": "LogSoftmax",
    "log_sigmoid": "LogSigmoid",
    "logsigmoid": "LogSigmoid",
    "logsumexp": "LogSumExp",
    "straight_through": "StraightThrough",
    "heaviside": "step",
}

_PLAIN = {word: letter for word, letter in GREEK.items() if word != "sigma"}  # σ is a function
_LOW = str.maketrans("0123456789-t", "₀₁₂₃₄₅₆₇₈₉₋ₜ")
_SHORT = re.compile("[a-su-zA-Z][a-zA-Z0-9]?")  # an index set in italics; a longer one is a word
_ALONE = re.compile(r".|\\[A-Za-z]+")  # an index that needs no braces


def latex_name(name: str, time: str = "", *, whole: bool = False) -> str:
    r"""A name in LaTeX, with its time as the last index; `whole` where its index is none.

    >>> latex_name("h_hat_c", "t-1"), latex_name("cell"), latex_name("h_0", whole=True)
    ('\\hat{h}_{c,t-1}', '\\mathit{cell}', '\\mathit{h\\_0}')
    """
    parts = name.split("_")
    if whole or not all(parts) or ("t" in parts and name != "t") or name == "I":
        letter, indices = _word(name), []
    else:
        letter, *indices = _accented([_letter(parts[0]), *map(_index, parts[1:])], parts)
    indices += [time] if time else []
    low = ",".join(indices)
    if not low:
        return letter
    return letter + (f"_{low}" if _ALONE.fullmatch(low) else f"_{{{low}}}")


def _word(text: str) -> str:
    return rf"\mathit{{{text}}}".replace("_", r"\_")


def _is_letter(part: str) -> bool:
    return part in COMMANDS or (len(part) == 1 and part.isalpha())


def _letter(part: str) -> str:
    return COMMANDS.get(part, part if _is_letter(part) else _word(part))


def _index(part: str) -> str:
    if part in COMMANDS:
        return COMMANDS[part]
    is_short = bool(_SHORT.fullmatch(part))
    is_number = part.isdecimal() and part == str(int(part))
    return part if is_short or is_number or _is_letter(part) else rf"\text{{{part}}}"


def _accented(written: list[str], parts: list[str]) -> list[str]:
    """The parts with the accents set over the letters before them."""
    done: list[str] = []
    before = ""
    for text, part in zip(written, parts, strict=True):
        if part in ACCENTS and (_is_letter(before) or (len(done) == 1 and before not in ACCENTS)):
            done[-1] = rf"\{part}{{{done[-1]}}}"
            before = part
        else:
            done.append(text)
            before = part
    return done


def plain_name(name: str, time: str = "") -> str:
    """A name in plain Unicode: `alpha` is α, `W_1` is W₁; `W_z` has no letter for its index.

    >>> plain_name("gamma_u"), plain_name("f_1", "t-1")
    ('γ_u', 'f₁ₜ₋₁')
    """
    first, *rest = (_PLAIN.get(part, part) for part in name.split("_"))
    is_number = len(rest) == 1 and rest[0].isdecimal()
    plain = first + rest[0].translate(_LOW) if is_number else "_".join([first, *rest])
    return plain + time.translate(_LOW)
