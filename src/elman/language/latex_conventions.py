"""Function letters that a page leaves unsaid: read by convention, and said aloud.

A Greek letter before a bracket is an activation in this field: φ and τ are tanh, a ψ beside them
the gate, and σ with an index is what σ_g, σ_c and σ_h are in encyclopaedias. A Latin letter (f, g,
s) may be anything, and is not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping

from elman.errors import CellWarning
from elman.language.latex_nodes import Applied
from elman.language.source import Source, Span

CONVENTIONS = dict.fromkeys(("phi", "varphi", "tau", "φ", "ϕ", "τ"), "tanh")
CONVENTIONS |= dict.fromkeys(("sigma_c", "sigma_h", "σ_c", "σ_h"), "tanh")
CONVENTIONS |= dict.fromkeys(("sigma_g", "sigma_hat", "σ_g", "σ_hat", "psi", "ψ"), "sigmoid")


def letter_of(expr: Applied, source: Source) -> tuple[str, Span]:
    """The letter before the bracket as printed, and its place."""
    span = Span(expr.span.line, expr.span.start, max(expr.span.start + 1, expr.span.end))
    quoted = source.quote(span).partition("(")[0].partition("[")[0].strip()
    for size in (r"\left", r"\bigl", r"\Bigl", r"\big", r"\Big", r"\biggl", r"\!"):
        quoted = quoted.removesuffix(size).strip()
    if expr.items[0].span.line == span.line:
        span = Span(span.line, span.start, span.start + len(quoted))
    return quoted, span


def notices(assumed: Mapping[str, Applied], source: Source) -> tuple[CellWarning, ...]:
    """What was read by convention, one warning a letter."""
    return tuple(_notice(expr, source) for expr in assumed.values())


def _notice(expr: Applied, source: Source) -> CellWarning:
    quoted, span = letter_of(expr, source)
    known = CONVENTIONS[expr.name]
    other = "relu" if known == "tanh" else "tanh"
    return CellWarning(
        "W108",
        f"{quoted} is read as {known}",
        where=source.where(span),
        rule="The page does not say which function the letter is; this is the usual one.",
        fix=f'Say which: symbols={{r"{quoted}": "{known}"}}, or for instance "{other}".',
    )
