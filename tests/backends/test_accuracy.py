"""The vector functions of the kernels against longer numbers, over their whole range."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from elman.backends.c_compile import compile_library
from elman.backends.c_write import write_file

pytestmark = pytest.mark.c
FUNCTIONS = ("exp", "tanh", "sigmoid", "log", "sqrt", "softplus", "sin", "cos", "floor", "round")
REAL = {"float32": "float", "float64": "double"}


def program(real: str) -> str:
    loops = [
        f"void many_{name}(const real *x, real *y, long n) {{\n"
        f"  for (long i = 0; i < n; i += LANES) {{ const long w = least(LANES, n - i);\n"
        f"    store(y + i, v{name}(load(x + i, w)), w); }}\n}}\n"
        for name in FUNCTIONS
    ]
    return write_file([], real) + "\n".join(loops)


@pytest.fixture(scope="module", params=["float32", "float64"])
def kernels(request):
    library = compile_library([program(REAL[request.param])], "functions")

    def call(name: str, x: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(x, request.param)
        y = np.full_like(x, np.nan)
        function = getattr(library, f"many_{name}")
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long]
        function(x.ctypes.data, y.ctypes.data, x.size)
        return y

    return request.param, call


def exact(name: str, x: np.ndarray) -> np.ndarray:
    """In float64 for float32, in long double for float64."""
    x = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    with np.errstate(all="ignore"):
        match name:
            case "sigmoid":
                return 1 / (1 + np.exp(-x))
            case "softplus":
                return np.where(x > 0, x, 0) + np.log1p(np.exp(-np.abs(x)))
        return getattr(np, name)(x)


def points(dtype: str, name: str) -> np.ndarray:
    """Everywhere: dense where the functions bend, and in all powers of two of both signs."""
    random = np.random.default_rng(0)
    info = np.finfo(dtype)
    top = 88.0 if dtype == "float32" else 709.0
    dense = random.uniform(-top, top, 200_000)
    near = random.uniform(-2, 2, 200_000)
    powers = 2.0 ** random.uniform(np.log2(float(info.tiny)) + 1, np.log2(top), 100_000)
    halves = np.arange(-2000, 2000) / 2  # where rounding turns
    whole = 2.0 ** np.arange(info.nmant - 3, info.nmant + 4)  # where fractions end
    ends = np.concatenate([whole + k / 4 for k in range(-4, 5)])
    if name in ("floor", "round"):
        powers = np.concatenate([powers, halves, ends, -ends])
    x = np.concatenate([dense, near, powers, -powers]).astype(dtype)
    return np.abs(x) if name in ("log", "sqrt") else x


def ulps(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The error in units of the last place of the exact value."""
    info = np.finfo(found.dtype)
    magnitude = np.maximum(np.abs(expected), float(info.tiny))
    unit = np.exp2(np.floor(np.log2(magnitude))) * float(info.eps)
    return np.abs(found.astype(expected.dtype) - expected) / unit


@pytest.mark.parametrize("name", FUNCTIONS)
def test_within_a_few_units_of_the_last_place(kernels, name, record_property):
    dtype, call = kernels
    x = points(dtype, name)
    expected = exact(name, x)
    normal = np.abs(expected) >= float(np.finfo(dtype).tiny)
    if name == "sigmoid":  # further out it stays at the smallest value that 1 / (1 + exp) can have
        normal &= x >= (-87 if dtype == "float32" else -707)
    error = ulps(call(name, x), expected)[normal]
    record_property("ulp", float(error.max()))
    where = x[normal][int(error.argmax())]
    print(f"\n{dtype} {name}: {error.max():.2f} ulp at {where!r}")
    assert error.max() <= (2.5 if dtype == "float32" else 4.0), f"at {where!r}"


@pytest.mark.parametrize("name", ["floor", "round"])
def test_whole_numbers_are_exact(kernels, name):
    dtype, call = kernels
    x = points(dtype, name)
    found, expected = call(name, x), exact(name, x).astype(dtype)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "sin", "cos", "floor", "round"])
def test_infinities_zeros_subnormals_and_what_is_no_number(kernels, name):
    dtype, call = kernels
    info = np.finfo(dtype)
    small = float(info.smallest_subnormal)
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, small, -small, 1e30, -1e30], dtype)
    found, expected = call(name, x), exact(name, x).astype(dtype)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    kept = ~np.isnan(expected)
    floor = 8 * float(info.tiny)
    np.testing.assert_allclose(found[kept], expected[kept], rtol=4 * float(info.eps), atol=floor)
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))


def test_exp_overflows_and_vanishes_where_it_should(kernels):
    dtype, call = kernels
    top = np.log(float(np.finfo(dtype).max))
    x = np.array([top * (1 - 1e-6), top * (1 + 1e-6), -2 * top], dtype)
    found = call("exp", x)
    assert np.isfinite(found[0])
    assert np.isinf(found[1])
    assert found[2] == 0


def test_sigmoid_goes_down_to_zero(kernels):
    dtype, call = kernels
    far = [
        -np.inf,
        -np.finfo(dtype).max,
        -1e30,
        -800.0,
        -740.0,
        -100.0,
        -95.0,
        -89.0,
        800.0,
        np.inf,
    ]
    x = np.array([*far, np.nan], dtype)
    expected = exact("sigmoid", x).astype(dtype)
    tiny = np.finfo(dtype).smallest_subnormal
    np.testing.assert_allclose(
        call("sigmoid", x), expected, rtol=8 * np.finfo(dtype).eps, atol=tiny
    )
