"""`elman convert`: files in, files out, and what is said of those that cannot be."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from elman.cell.given_files import read_arrays
from elman.cli import array_files, main
from elman.errors import ElmanError
from elman.library.weights import convert

GOLDEN = Path(__file__).parents[1] / "errors" / "convert"
ENDINGS = [".npz", ".yaml", ".yml", ".json"]
WITH_TORCH = [*ENDINGS, pytest.param(".safetensors", marks=pytest.mark.torch)]


@pytest.fixture
def elman(capsys, monkeypatch, tmp_path):
    """Run the command in this process, in an empty folder: code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["elman", "convert", *map(str, words)])
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return (1, out, err + code) if isinstance(code, str) else (int(code or 0), out, err)

    return run


def lstm(dtype="float64"):
    generator = np.random.default_rng(0)
    shapes = {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)}
    return {name: generator.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def write(name, arrays):
    array_files.write_arrays(Path(name), arrays, "weights")


@pytest.mark.parametrize("ending", WITH_TORCH)
def test_from_file_to_file_and_back(elman, ending):
    write(f"keras{ending}", lstm())
    code, out, err = elman(f"keras{ending}", "--from=keras", "--to=torch", "-o", f"torch{ending}")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == (
        f"torch{ending}: LSTM with 1 layer, input 3, hidden 2: torch, from keras"
    )
    assert out.splitlines()[1].split() == ["weight_ih_l0", "(8,", "3)"]
    elman(f"torch{ending}", "--from=torch", "--to=keras", "-o", f"back{ending}")
    back = read_arrays(Path(f"back{ending}"))
    for name, array in lstm().items():
        assert np.array_equal(back[name], array)  # every digit
    assert sorted(p.name for p in Path.cwd().iterdir() if "tmp" in p.name) == []


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("ending", [".npz", pytest.param(".safetensors", marks=pytest.mark.torch)])
def test_files_keep_the_type(elman, ending, dtype):
    write(f"keras{ending}", lstm(dtype))
    elman(f"keras{ending}", "--from", "keras", "--to", "onnx", "--output", f"onnx{ending}")
    found = read_arrays(Path(f"onnx{ending}"))
    assert {str(array.dtype) for array in found.values()} == {dtype}


def test_without_a_file_it_is_printed(elman):
    write("w.npz", lstm())
    code, out, _ = elman("w.npz", "--from=keras", "--to=elman")
    assert code == 0
    assert out.startswith("# LSTM with 1 layer, input 3, hidden 2: elman:lstm, from keras\nW_i:\n")
    wanted = convert(lstm(), "keras", "elman")
    for found in (
        yaml.safe_load(out),
        json.loads(elman("w.npz", "--from=keras", "--to=elman", "--json")[1]),
    ):
        assert list(found) == list(wanted)
        assert all(np.array_equal(found[name], array) for name, array in wanted.items())


def test_json_beside_a_file_tells_of_it(elman):
    write("w.npz", lstm())
    out = elman("w.npz", "--from=keras", "--to=onnx", "-o", "onnx.npz", "--json")[1]
    assert json.loads(out) == {
        "file": "onnx.npz",
        "network": "LSTM with 1 layer, input 3, hidden 2",
        "arrays": {"W": [1, 8, 3], "R": [1, 8, 2], "B": [1, 16]},
    }


def test_numbers_without_a_point(elman):
    Path("w.yaml").write_text("W: [[1e-3, 2]]\nU: 5e-1\nb: 0\n")
    out = elman("w.yaml", "--from=elman", "--to=torch", "--json")[1]
    assert json.loads(out)["weight_ih_l0"] == [[0.001, 2.0]]


def test_what_it_prints_can_be_traced(elman, capsys, monkeypatch):
    """The lectures' cell 1 from torch's layout: h = 0.800499."""
    write(
        "w.json",
        {
            "weight_ih_l0": np.array([[0.4, 0.3]]),
            "weight_hh_l0": np.array([[0.5]]),
            "bias_ih_l0": np.array([0.06]),
            "bias_hh_l0": np.array([0.04]),
        },
    )
    Path("w.yaml").write_text(elman("w.json", "--from=torch", "--to=elman")[1])
    monkeypatch.setattr(sys, "argv", ["elman", "trace", "rnn", "--weights=w.yaml", "--x=1,2"])
    try:
        main()
    except SystemExit as end:
        assert not end.code
    assert "0.8005" in capsys.readouterr().out


def test_only_some_arrays(elman):
    first, second = (convert(lstm(), "keras", "torch") for _ in range(2))
    arrays = {f"encoder.{name}": array for name, array in first.items()}
    arrays |= {f"decoder.{name}": array * 2 for name, array in second.items()}
    write("w.npz", {**arrays, "head.bias": np.ones(3)})
    assert "[E532]" in elman("w.npz", "--from=torch", "--to=keras")[2]
    out = elman("w.npz", "--from=torch", "--to=keras", "--only=decoder.*", "--json")[1]
    assert np.array_equal(json.loads(out)["bias"], 2 * lstm()["bias"])
    code, _, err = elman("w.npz", "--from=torch", "--to=keras", "--only=dekoder.*")
    assert code == 1
    assert "[E531]: no array has a name like 'dekoder.*'" in err


def test_a_layer_at_a_time(elman):
    one = convert(lstm(), "keras", "torch")
    two = {n.replace("_l0", "_l1"): a for n, a in one.items()} | {"weight_ih_l1": np.ones((8, 2))}
    write("w.npz", {**one, **two})
    assert "--only '*_l0*'" in elman("w.npz", "--from=torch", "--to=keras")[2]
    out = elman("w.npz", "--from=torch", "--to=keras", "--only=*_l1*", "--json")[1]
    assert json.loads(out)["kernel"] == np.ones((2, 8)).tolist()


def test_a_file_is_replaced_only_when_asked(elman):
    write("w.npz", lstm())
    before = Path("w.npz").read_bytes()
    words = ["w.npz", "--from=keras", "--to=torch", "-o", "w.npz"]
    code, out, err = elman(*words)
    assert (code, out) == (1, "")
    assert "[E538]" in err
    assert Path("w.npz").read_bytes() == before
    assert elman(*words, "--overwrite")[0] == 0
    assert "weight_ih_l0" in np.load("w.npz").files


def test_what_cannot_be_written_is_said_first(elman):
    """Before the weights are read: they are not even there."""
    Path("folder.npz").mkdir()
    for out, named in {
        "folder.npz": "[E602]",
        "none/w.npz": "there is no folder none",
        "w.pt": "[E537]",
        "w": "[E537]",
    }.items():
        code, printed, err = elman("w.npz", "--from=keras", "--to=torch", "-o", out)
        assert (code, printed) == (1, "")
        assert named in err


def test_a_file_that_is_damaged_or_none(elman):
    write("w.npz", lstm())
    data = Path("w.npz").read_bytes()
    Path("short.npz").write_bytes(data[: len(data) // 2])
    flipped = bytearray(data)
    flipped[200] ^= 255
    Path("flipped.npz").write_bytes(bytes(flipped))
    Path("text.npz").write_text("W: 1")
    Path("empty.npz").touch()
    np.savez("objects.npz", W=np.array([None, "code"], dtype=object))
    with Path("one.npz").open("wb") as file:
        np.save(file, np.ones(3))
    Path("list.json").write_text("[1, 2]")
    Path("text.json").write_text('{"W": "one"}')
    Path("cut.yaml").write_text("W: [1, 2")
    for name, code in {
        "short.npz": "E607",
        "flipped.npz": "E607",
        "text.npz": "E607",
        "empty.npz": "E607",
        "objects.npz": "E607",
        "one.npz": "E607",
        "list.json": "E606",
        "text.json": "E606",
        "cut.yaml": "E605",
        "none.npz": "E601",
    }.items():
        ended, out, err = elman(name, "--from=keras", "--to=torch")
        assert (ended, out) == (1, ""), name
        assert f"[{code}]: " in err and name in err


@pytest.mark.torch
def test_safetensors_that_are_damaged_or_hold_other_numbers(elman):
    import safetensors.torch
    import torch

    write("w.safetensors", lstm())
    Path("short.safetensors").write_bytes(Path("w.safetensors").read_bytes()[:-9])
    Path("empty.safetensors").touch()
    tensors = {name: torch.as_tensor(array).bfloat16() for name, array in lstm().items()}
    safetensors.torch.save_file(tensors, "brain.safetensors")
    for name, said in {
        "short.safetensors": "[E607]",
        "empty.safetensors": "[E607]",
        "brain.safetensors": "[E505]: brain.safetensors holds numbers of the format BF16",
    }.items():
        code, _, err = elman(name, "--from=keras", "--to=torch")
        assert code == 1
        assert said in err


@pytest.mark.torch
def test_a_state_dict_as_torch_saves_it(elman):
    import safetensors.torch
    import torch

    module = torch.nn.GRU(3, 2, bidirectional=True)
    safetensors.torch.save_file(module.state_dict(), "w.safetensors")
    code, _, err = elman("w.safetensors", "--from=torch", "--to=keras-reset-after", "-o", "k.npz")
    assert (code, err) == (0, "")
    wanted = convert(module.state_dict(), "torch", "keras-reset-after")
    found = np.load("k.npz")
    assert set(found.files) == set(wanted)
    assert all(np.array_equal(found[name], array) for name, array in wanted.items())


def no_safetensors(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)


FILES = {
    "E537_a_pickle": "model.pt",
    "E537_keras": "model.keras",
    "E537_onnx": "model.onnx",
    "E537_one_array": "w.npy",
    "E537_no_ending": "weights",
    "E537_no_package": "w.safetensors",
    "E538_is_there": "w.npz",
}


@pytest.mark.parametrize("name", FILES)
def test_the_message_is_the_golden_one(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("w.npz").touch()
    if name == "E537_no_package":
        no_safetensors(monkeypatch)
    with pytest.raises(ElmanError) as caught:
        array_files.check_output(Path(FILES[name]), overwrite=False)
    got = str(caught.value) + "\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("ELMAN_WRITE_GOLDEN") == "1":  # then read the diff, every line of it
        path.write_text(got, "utf-8")
    shown = difflib.unified_diff(path.read_text("utf-8").splitlines(), got.splitlines(), n=99)
    assert got == path.read_text("utf-8"), "\n" + "\n".join(shown)


def test_every_golden_text_of_files_has_a_mistake():
    kept = {path.stem for path in GOLDEN.glob("E53[78]_*.txt")}
    assert kept == set(FILES)


def test_usage(elman):
    assert elman("w.npz")[0] == 2
    assert elman("w.npz", "--from=keras")[0] == 2
    code, _, err = elman("w.npz", "--from=kears", "--to=torch")
    assert code == 1
    assert "Did you mean 'keras'?" in err


def test_help_names_the_layouts_and_is_light():
    code = (
        "import sys; sys.argv = ['elman', 'convert', '--help']\n"
        "from elman.cli import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'safetensors', 'yaml', 'numpy') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "[]"
    for layout in ("torch", "keras", "keras-reset-after", "onnx", "onnx-reset-after", "elman:NAME"):
        assert layout in answer.stdout
