"""Initialisation by roles: one call for any layer, and any model that contains layers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch.nn.utils import parametrize

from elman.errors import WeightProblem, nearest
from elman.ir.cell import ROLES
from elman.nn.recurrent import Recurrent
from elman.nn.weight_roles import Part, Table, layers_of, parts_of, tabled

Tensor: TypeAlias = torch.Tensor
Choice: TypeAlias = str | float | Callable[[Tensor], Any]

MATRICES = ("input", "recurrent", "read out")
CHOICES: Mapping[str, Callable[[Tensor], Any]] = {
    "xavier_uniform": torch.nn.init.xavier_uniform_,
    "xavier_normal": torch.nn.init.xavier_normal_,
    "kaiming_uniform": torch.nn.init.kaiming_uniform_,
    "kaiming_normal": torch.nn.init.kaiming_normal_,
    "orthogonal": torch.nn.init.orthogonal_,
    "identity": torch.nn.init.eye_,
    "zeros": torch.nn.init.zeros_,
}
OF_A_VECTOR = {"orthogonal": 1.0, "identity": 1.0, "zeros": 0.0}  # a diagonal matrix
_GLOROT: Mapping[str, Choice] = {
    "input": "xavier_uniform",
    "recurrent": "orthogonal",
    "read out": "xavier_uniform",
    "bias": 0.0,
    "gain": 1.0,
}
_SMALL = functools.partial(torch.nn.init.normal_, std=0.001)
SCHEMES: Mapping[str, Mapping[str, Choice]] = {
    "torch": {},
    "keras": {**_GLOROT, "forget bias": 1.0},
    "chrono": {**_GLOROT, "forget bias": "chrono"},
    "irnn": {"input": _SMALL, "recurrent": "identity", "read out": _SMALL, "bias": 0.0},
}
NEEDED = {"chrono": "forget bias", "irnn": "recurrent"}  # without which a scheme does nothing


def initialize(
    model: torch.nn.Module,
    scheme: str = "torch",
    *,
    t_max: float | None = None,
    generator: torch.Generator | None = None,
    **choices: Choice,
) -> Table:
    """Give the weights of every recurrent layer in `model` new values, each by its role.

    >>> layer = Recurrent("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)", 3, 5)
    >>> initialize(layer, "keras", input="kaiming_normal")
    W_l0  input      kaiming_normal
    U_l0  recurrent  orthogonal
    b_l0  bias       0

    Args:
        scheme: `torch`, the layer's own `reset_parameters`; `keras`: Glorot-uniform matrices,
            orthogonal recurrent ones, forget biases 1, others 0; `chrono`: the same with forget
            biases log(U(1, t_max - 1)); `irnn`: the identity, normal input matrices, biases 0.
        t_max: for `chrono`, the longest time to be remembered, in steps.
        generator: what is drawn from, in place of torch's own.
        choices: by role, on top of the scheme: for `input=`, `recurrent=`, `read_out=` a way to
            draw matrices, for `bias=`, `forget_bias=` and others a number; or a function.

    A forget bias of 1 lets a gate keep sigmoid(1) of the state, be it z[t] or 1 - z[t]. `roles`
    says which weight is what, docs/initialization.md all choices, and the papers.

    Errors: WeightProblem E550 to E554; no weight has changed then.
    """
    _check_generator(generator)
    chosen = _chosen(scheme, choices, t_max)
    plans = [(part, _choice(part, chosen)) for part in parts_of(model)]
    _check_uses(scheme, choices, [part for part, _ in plans], model)
    _check_free(part for part, choice in plans if choice != "torch")
    with torch.no_grad(), _drawing_from(generator):
        for _, layer in layers_of(model):
            layer.reset_parameters()  # type: ignore[operator]
        return tabled(zip((part for part, _ in plans), _set(plans, t_max or 0), strict=True))


def _check_generator(generator: object) -> None:
    if not isinstance(generator, torch.Generator | None):
        headline, rule = f"generator={generator!r}", "It is one of torch's generators."
        fix = "Pass torch.Generator().manual_seed(5)."
        raise WeightProblem("E550", headline, rule=rule, fix=fix)


def _chosen(scheme: str, choices: Mapping[str, Choice], t_max: Any) -> dict[str, Choice]:
    """What is to be done by role."""
    chosen = {**_scheme(scheme), **{_role(word): choice for word, choice in choices.items()}}
    for role, choice in chosen.items():
        _check_choice(role, choice)
    _check_steps(t_max, chosen.get("forget bias") == "chrono")
    return chosen


def _check_uses(
    scheme: str, choices: Mapping[str, Choice], parts: Sequence[Part], model: torch.nn.Module
) -> None:
    if scheme in NEEDED:
        _check_use(NEEDED[scheme], choices.get(NEEDED[scheme], scheme), parts, model)
    for word, choice in choices.items():
        _check_use(_role(word), choice, parts, model)


def _scheme(name: str) -> Mapping[str, Choice]:
    if name in SCHEMES:
        return SCHEMES[name]
    headline = f"there is no scheme of initialisation {name!r}"
    rule = f"The schemes are {', '.join(SCHEMES)}."
    way = _way(name) if isinstance(name, str) else ""
    fix = nearest(name, SCHEMES)
    if way:
        role = "recurrent" if way in ("orthogonal", "identity") else "input"
        fix = f"It is a way to draw matrices of a role: initialize(model, {role}={way!r})."
    raise WeightProblem("E550", headline, rule=rule, fix=fix or None)


def _way(name: str) -> str:
    """The way to draw matrices that a word may mean; Glorot's is torch's xavier, He's kaiming."""
    word = name.lower().replace("glorot", "xavier").replace("he_", "kaiming_")
    return next((way for way in CHOICES if way == word or way.startswith(f"{word}_")), "")


def _role(word: str) -> str:
    role = word.replace("_", " ")
    if role in ROLES:
        return role
    words = [known.replace(" ", "_") for known in ROLES]
    headline = f"there is no role {word!r}"
    rule = f"The roles are {', '.join(words)}."
    raise WeightProblem("E550", headline, rule=rule, fix=nearest(word, words) or None)


def _check_choice(role: str, choice: Any) -> None:
    """A matrix is drawn in some way; other weights get a number."""
    known = (*CHOICES,) if role in MATRICES else ("chrono",) if role == "forget bias" else ()
    is_number = isinstance(choice, int | float) and not isinstance(choice, bool)
    is_number = is_number and math.isfinite(choice)
    if callable(choice) or choice in ("torch", *known) or (is_number and role not in MATRICES):
        return
    word = role.replace(" ", "_")
    headline = f"{word} cannot be {choice!r}"
    first = "" if role in MATRICES else "a number, "
    names = ", ".join(map(repr, ("torch", *known)))
    rule = f"{word} is {first}{names}, or a function that fills a tensor."
    way = _way(choice) if isinstance(choice, str) and role in MATRICES else ""
    near = nearest(choice, known) if isinstance(choice, str) else ""
    near = f"Write {word}={way!r}." if way else near
    fix = near or (f"Write {word}='xavier_uniform'." if role in MATRICES else f"Write {word}=0.0.")
    raise WeightProblem("E550", headline, rule=rule, fix=fix)


def _check_steps(t_max: Any, is_chrono: bool) -> None:
    if not is_chrono and t_max is None:
        return
    rule = "chrono draws how long each unit remembers between 1 and t_max - 1 steps."
    if not is_chrono:
        headline = f"t_max is {t_max!r}, and no bias is drawn by chrono"
        fix = "Write initialize(model, 'chrono', t_max=...), or leave t_max out."
    elif t_max is None:
        headline, fix = "chrono needs t_max", "Pass t_max=, such as the length of the sequences."
    elif isinstance(t_max, bool) or not isinstance(t_max, int | float) or not 2 < t_max < math.inf:
        headline, fix = f"t_max cannot be {t_max!r}", "Pass a number above 2, such as t_max=100."
    else:
        return
    raise WeightProblem("E552", headline, rule=rule, fix=fix)


def _check_use(role: str, choice: Any, parts: Sequence[Part], model: torch.nn.Module) -> None:
    """Somewhere in the model there must be a weight for what was asked for."""
    own = [part for part in parts if part.role.kind == role]
    own = [part for part in parts if part.is_bias] if role == "bias" else own
    if any(not _is_left(part, choice) for part in own):
        return
    asked = f"the scheme {choice!r}" if choice in NEEDED else f"{role.replace(' ', '_')}={choice!r}"
    if own:
        rule = f"{own[0].name} multiplies elementwise: it is a vector."
        fix = "Pass 'identity', which makes it 1, or a function that fills a tensor."
    else:
        kinds = dict.fromkeys(part.role.kind for part in parts)
        rule = f"The roles in {type(model).__name__} are {', '.join(kinds)}."
        fix = "Leave it out, or build a layer of a cell that has such a weight."
        if any(isinstance(part.module, Recurrent) for part in parts):
            fix = f"If a weight has it, say so in the cell: `b: role {role}`."
    headline = f"{asked} has nothing to act on: no weight has the role {role}"
    headline = headline if not own else f"{asked} has nothing to act on: no {role} matrix"
    raise WeightProblem("E551", headline, rule=rule, fix=fix)


def _check_free(parts: Iterable[Part]) -> None:
    for part in parts:
        if _can_be_set(part.module, part.name):
            continue
        headline = f"{part.path}{part.name} is computed from other weights, and cannot be set"
        rule = "Its parametrization has no right_inverse, or it is pruned."
        raise WeightProblem("E554", headline, rule=rule, fix="Initialize the layer before that.")


def _can_be_set(module: torch.nn.Module, name: str) -> bool:
    if not parametrize.is_parametrized(module, name):
        return name in module._parameters or name in module._buffers
    chain: Any = module.parametrizations[name]  # type: ignore[index, union-attr]
    return all(hasattr(each, "right_inverse") for each in chain)


def _choice(part: Part, chosen: Mapping[str, Choice]) -> Choice:
    """What a part gets; the biases of gates are biases, where nothing is said of them."""
    role = part.role.kind
    if role == "input bias" and role not in chosen and chosen.get("forget bias") == "chrono":
        return "chrono"
    found = chosen.get(role, chosen.get("bias", "torch") if part.is_bias else "torch")
    return "torch" if _is_left(part, found) else found


def _is_left(part: Part, choice: Choice) -> bool:
    """Whether a choice for matrices says nothing of a vector."""
    is_drawn = isinstance(choice, str) and choice in CHOICES
    return part.role.is_vector and is_drawn and choice not in OF_A_VECTOR


@contextmanager
def _drawing_from(generator: torch.Generator | None) -> Iterator[None]:
    """Everything drawn comes from the generator, which is left where the draws end."""
    if generator is None:
        yield
        return
    device = generator.device
    cuda = [device] if device.type == "cuda" else []
    get, put = torch.get_rng_state, torch.set_rng_state
    if cuda:
        get = functools.partial(torch.cuda.get_rng_state, device)
        put = functools.partial(torch.cuda.set_rng_state, device=device)
    with torch.random.fork_rng(devices=cuda):
        put(generator.get_state())
        yield
        generator.set_state(get())


def _set(plans: Sequence[tuple[Part, Choice]], t_max: float) -> list[tuple[str, str]]:
    """What was done with each part, in words."""
    times: dict[tuple[str, str, str], Tensor] = {}  # by layer, direction and state
    done: dict[Part, str] = {}
    # the input gates of chrono need what their forget gates have drawn
    for part, choice in sorted(plans, key=lambda plan: plan[0].role.kind == "input bias"):
        done[part] = "torch"
        if choice != "torch":
            empty = _empty(part)
            done[part] = _fill(empty, part, choice, t_max, times)
            _put(part, empty)
    return [(part.role.kind, done[part]) for part, _ in plans]


def _empty(part: Part) -> Tensor:
    weight = part.of(getattr(part.module, part.name))
    dtype = torch.promote_types(weight.dtype, torch.float32)
    return torch.zeros(weight.shape, dtype=dtype, device=weight.device)


def _put(part: Part, value: Tensor) -> None:
    weight: Tensor = getattr(part.module, part.name)
    if parametrize.is_parametrized(part.module, part.name):
        whole = weight.detach().clone()
        part.of(whole).copy_(value)
        setattr(part.module, part.name, whole)
    else:
        part.of(weight).copy_(value)


def _fill(
    empty: Tensor,
    part: Part,
    choice: Choice,
    t_max: float,
    times: dict[tuple[str, str, str], Tensor],
) -> str:
    """Fill the tensor of a part, and say how."""
    role = part.role
    if role.is_second and part.is_bias and not callable(choice):
        return "0, one of a sum"
    if choice == "chrono":
        key = part.path, part.place, role.state
        if role.kind == "input bias":
            return _fill_input_bias(empty, role.sign, times.get(key))
        time = empty.uniform_(1, t_max - 1).log_()
        times.setdefault(key, time.clone())
        empty.mul_(role.sign)
        return f"{'-' * (role.sign < 0)}log(U(1, {t_max - 1:g}))"
    if not isinstance(choice, str) and not callable(choice):
        value = float(choice) * role.sign
        empty.fill_(value)
        return f"{value:g}"
    if isinstance(choice, str) and role.is_vector:
        empty.fill_(OF_A_VECTOR[choice])
        return f"{OF_A_VECTOR[choice]:g}, as a diagonal"
    draw = CHOICES[choice] if isinstance(choice, str) else choice
    assert callable(draw)
    if role.kind in MATRICES and not role.is_vector:
        _draw_matrices(empty, draw, role.is_transposed)
    else:
        draw(empty)
    return choice if isinstance(choice, str) else _called(draw)


def _fill_input_bias(empty: Tensor, sign: int, time: Tensor | None) -> str:
    if time is None:
        return "0"
    empty.copy_(time).mul_(-sign)
    return "-" * (sign > 0) + "the forget bias"


def _draw_matrices(empty: Tensor, draw: Callable[[Tensor], Any], is_transposed: bool) -> None:
    """Matrix by matrix, where several stand in a tensor; a vector of a dot product is one row."""
    rows = empty.reshape(-1, *empty.shape[-2:]) if empty.dim() > 1 else empty.view(1, 1, -1)
    for matrix in rows:
        block = torch.empty_like(matrix.T if is_transposed else matrix).contiguous()
        draw(block)
        matrix.copy_(block.T if is_transposed else block)


def _called(draw: Any) -> str:
    if isinstance(draw, functools.partial):
        given = [
            *map(str, draw.args),
            *(f"{name}={value}" for name, value in draw.keywords.items()),
        ]
        return f"{_called(draw.func)}({', '.join(given)})"
    return str(getattr(draw, "__name__", type(draw).__name__))
