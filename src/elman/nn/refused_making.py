"""What the constructors of torch's layers and cells refuse, with the argument and the way out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from elman.errors import ElmanError, NameProblem, ShapeProblem, WeightProblem, nearest
from elman.nn.refused import in_torchs_words

Named = Mapping[str, Any]

LAYER = ("bias", "batch_first", "dropout", "bidirectional", "proj_size", "device", "dtype")
PLACES = {  # the arguments by place, behind the two sizes
    "RNN": ("num_layers", "nonlinearity", *LAYER),
    "LSTM": ("num_layers", *LAYER),
    "GRU": ("num_layers", *LAYER),
    "RNNCell": ("bias", "nonlinearity", "device", "dtype"),
    "LSTMCell": ("bias", "device", "dtype"),
    "GRUCell": ("bias", "device", "dtype"),
}
SIZES = ("input_size", "hidden_size")
NO_PROJECTION = ("RNN", "GRU")  # they take proj_size by place alone, and only 0
DEFAULTS = {
    "num_layers": 1,
    "nonlinearity": "tanh",
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
    "proj_size": 0,
    "device": None,
    "dtype": None,
}

OPTIONS: dict[str, Any] = {  # of layers, by name alone: what torch's do not take
    "return_states": (),
    "learn_initial_state": False,
    "residual": False,
    "layer_norm": False,
    "skip_input": False,
    "zoneout": 0.0,
    "variational_dropout": 0.0,
    "recurrent_dropout": 0.0,
    "weight_drop": 0.0,
    "remat": False,
}


def signature(kind: str, more: Named) -> inspect.Signature:
    """What help() and tools see of a constructor; `more` are arguments that torch lacks."""
    make, places = inspect.Parameter, PLACES[kind]
    by_place, by_name = make.POSITIONAL_OR_KEYWORD, make.KEYWORD_ONLY
    if kind in NO_PROJECTION:  # what stands behind a place that only 0 may take goes by name
        places = places[: places.index("proj_size")]
    others = [name for name in PLACES[kind] if name not in (*places, "proj_size")]
    found = [make(name, by_place) for name in ("self", *SIZES)]  # inspect leaves the first one out
    found += [make(name, by_place, default=DEFAULTS[name]) for name in places]
    found += [make(name, by_name, default=DEFAULTS[name]) for name in others]
    found += [make(name, by_name, default=default) for name, default in more.items()]
    return inspect.Signature(found)


class Rule(NamedTuple):
    """What an argument may be, in words, and one that it may."""

    holds: Callable[[Any], bool]
    words: str
    example: str


def _is_count(given: Any) -> bool:
    return isinstance(given, int) and given >= 1


def _is_chance(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= 1


COUNT = "It is a whole number, 1 or more."
SWITCH = Rule(lambda given: isinstance(given, bool), "It is True or False.", "True")
RULES = {
    "input_size": Rule(_is_count, COUNT, "64"),
    "hidden_size": Rule(_is_count, COUNT, "128"),
    "num_layers": Rule(_is_count, COUNT, "2"),
    "nonlinearity": Rule(lambda given: given in ("tanh", "relu"), "It is tanh or relu.", "'relu'"),
    "bias": SWITCH,
    "batch_first": SWITCH,
    "dropout": Rule(_is_chance, "A probability lies between 0 and 1.", "0.5"),
    "proj_size": Rule(
        lambda given: isinstance(given, int) and given >= 0,
        "It is a whole number, 0 for no projection.",
        "0",
    ),
    "dtype": Rule(
        lambda given: given is None or (isinstance(given, torch.dtype) and given.is_floating_point),
        "Weights are real numbers in one of torch's formats.",
        "torch.float32",
    ),
}


def refused_making(
    kind: str, args: tuple[Any, ...], named: Named, more: Named, problem: Exception
) -> ElmanError | None:
    """What is wrong with the arguments of a constructor; `more` are those that torch lacks."""
    shown = f"{kind}({', '.join([*map(repr, args), *(f'{k}={v!r}' for k, v in named.items())])})"
    places = (*SIZES, *PLACES[kind])
    given = {**dict(zip(places, args, strict=False)), **named}
    found = _names(kind, shown, args, named, more) or _values(kind, shown, given)
    return None if found is None else in_torchs_words(found, problem)


def _names(
    kind: str, shown: str, args: tuple[Any, ...], named: Named, more: Named
) -> ElmanError | None:
    """An argument that is missing, unknown, given twice, or one too many."""
    places = (*SIZES, *PLACES[kind])
    taken = places[: len(args)]
    as_in = f"As in {kind}(64, 128)."
    for name in SIZES:
        if name not in taken and name not in named:
            return NameProblem("E239", f"{shown} does not say {name}", fix=as_in)
    for name in named:
        if name == "proj_size" and kind in NO_PROJECTION:
            rule = "Only an LSTM has a projection."
            return NameProblem(
                "E239", f"{shown}: {kind} has no proj_size", rule=rule, fix="Leave it out."
            )
        if name not in (*places, *more):
            fix = nearest(name, (*places, *more)) or f"It has {', '.join((*places, *more))}."
            return NameProblem("E239", f"{shown}: {kind} has no argument {name}", fix=fix)
        if name in taken:
            fix = f"Leave {name}= out: it is given by its place."
            return NameProblem("E239", f"{shown} gives {name} twice", fix=fix)
    if len(args) > len(places):
        rule = f"{kind} has {len(places)} arguments by place."
        return NameProblem("E239", f"{shown} gives {len(args)}", rule=rule, fix=as_in)
    return None


def _values(kind: str, shown: str, given: Named) -> ElmanError | None:
    """An argument that cannot be what it is."""
    for name, rule in RULES.items():
        is_none = kind.endswith("Cell") and name in SIZES and given.get(name) == 0  # torch's may be
        if name in given and not is_none and not _holds(rule, given[name]):
            fix = f"Pass {name}={rule.example}."
            return ShapeProblem(
                "E230", f"{name}={given[name]!r} in {shown}", rule=rule.words, fix=fix
            )
    hidden, projection = given["hidden_size"], given.get("proj_size", 0)
    if kind == "LSTM" and isinstance(hidden, int) and projection >= hidden:
        return ShapeProblem(
            "E230",
            f"proj_size={projection} in {shown}",
            rule=f"A projection is smaller than the memory, {hidden}.",
            fix=f"Pass hidden_size={projection + 1} or more, or leave proj_size out.",
        )
    return _device(shown, given.get("device"))


def _holds(rule: Rule, given: Any) -> bool:
    try:
        return rule.holds(given)
    except Exception:  # what cannot be compared is not it
        return False


def _device(shown: str, given: Any) -> ElmanError | None:
    try:
        torch.empty(0, device=given)
    except Exception:
        fix = "Pass device='cpu', or leave it out."
        rule = "This torch cannot make tensors there."
        return WeightProblem("E547", f"device={given!r} in {shown}", rule=rule, fix=fix)
    return None
