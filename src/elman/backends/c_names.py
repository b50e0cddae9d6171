"""Names in generated C: the user's own, spelled in ASCII, each used once."""

from __future__ import annotations

import unicodedata

from elman.ir.ops import BINARY, TERNARY, UNARY

KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline
int long register restrict return short signed sizeof static struct switch typedef union
unsigned void volatile while typeof asm
"""
HEADERS = """
main exp log tanh sqrt pow abs div gamma y0 y1 yn j0 j1 jn linux unix I NULL INFINITY NAN
"""
KERNELS = """
REAL REAL_BYTES BYTES LANES WIDE ROWS PANEL INLINE SHARED IS_FLOAT MATH BY_LANE UNITS PACKED OP AS
SHIFT SIGN PAIR MIX real vec mask all pick load store clamp at_least at_most nearest scaled two_to
exp_parts bits whole mix mix_all vrandom least vectors blocks room tile_rows share rows
run_of_rows depth WEIGHT_BYTES term product pack packed_size side add_outer add_rows team work
barrier cost run_team block_steps APART panel_size COLUMNS half pack_half widen narrow widen_rows
narrow_rows pair_rows store_pairs pair halfs rounded
"""
# keywords of C, names that its headers define, and those of c_kernels.h
RESERVED = {*KEYWORDS.split(), *HEADERS.split(), *KERNELS.split()}
RESERVED |= {f"v{op}" for op in UNARY + BINARY + TERNARY}


def ascii_name(name: str) -> str:
    """`Γ_u` is Gamma_u, `ĥ` is h_hat, `h[t-1]` is h_prev.

    >>> ascii_name("Γ_u"), ascii_name("ĥ"), ascii_name("h[t-1]")
    ('Gamma_u', 'h_hat', 'h_prev')
    """
    if name.endswith("[t-1]"):
        return ascii_name(name[:-5]) + "_prev"
    parts: list[str] = []
    for letter in unicodedata.normalize("NFD", name):
        if letter.isascii():
            parts.append(letter if letter.isalnum() or letter == "_" else "_")
        elif unicodedata.category(letter) == "Mn":
            marks = {"\u0302": "_hat", "\u0303": "_tilde", "\u0304": "_bar", "\u0307": "_dot"}
            parts.append(marks.get(letter, "_m"))
        else:
            word = unicodedata.name(letter, f"u{ord(letter):x}").split()[-1]
            parts.append(word.capitalize() if letter.isupper() else word.lower())
    found = "".join(parts).rstrip("_") or "value"
    return found if not found[0].isdigit() else f"n{found}"


class Namer:
    """Gives every key one C name that no other key has."""

    def __init__(self, *reserved: str) -> None:
        self.taken = RESERVED | set(reserved)
        self.of: dict[object, str] = {}

    def __call__(self, key: object, wish: str) -> str:
        if key not in self.of:
            base = ascii_name(wish)
            name = base
            for k in range(1, len(self.taken) + 2):
                if name not in self.taken:
                    break
                name = f"{base}_{k}"
            self.taken.add(name)
            self.of[key] = name
        return self.of[key]
