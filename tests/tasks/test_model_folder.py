"""The model folder: it comes back as it was, and whatever is wrong with it is named."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

import elman
from elman.errors import ElmanError
from elman.tasks import lm
from elman.tasks.model_folder import ModelConfig
from elman.tasks.tensor_file import read_tensors, write_tensors
from elman.tasks.text import Vocabulary

pytestmark = pytest.mark.torch

TEXT = "the gull was a boat\n"


@pytest.fixture(scope="module")
def model() -> lm.LanguageModel:
    torch.manual_seed(0)
    cell = elman.cells["gru"]
    vocabulary = Vocabulary.of(TEXT)
    config = ModelConfig(
        cell=cell.name,
        equations=str(cell),
        embedding_size=3,
        hidden_size=5,
        num_layers=2,
        sizes={},
        dropout=0.1,
        vocabulary_size=len(vocabulary),
    )
    return lm.LanguageModel(config, vocabulary).eval()


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model", {"step": 3})
    return tmp_path / "model"


def test_round_trip(model, folder):
    again = lm.load(folder)
    ids = torch.from_numpy(model.vocabulary.encode(TEXT))[:, None]
    assert torch.equal(again(ids)[0], model(ids)[0])
    assert again.config == model.config
    assert again.vocabulary == model.vocabulary
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "vocabulary.json",
    ]


def test_the_folder_says_what_the_network_is(folder):
    readme = (folder / "README.md").read_text("utf-8")
    assert "z[t] = sigmoid(W_z @ x[t] + U_z @ h[t-1] + b_z)" in readme
    assert "2 recurrent layer(s)" in readme
    assert json.loads((folder / "config.json").read_text())["version"] == 1


def test_saving_again_replaces_the_weights_only(model, folder):
    before = (folder / "config.json").stat().st_ino
    model.save(folder, {"step": 4})
    assert (folder / "config.json").stat().st_ino == before
    assert read_tensors(folder / "model.safetensors")[1]["figures"] == {"step": 4}
    assert not [path for path in folder.parent.iterdir() if path.name != "model"]


def remove(name):
    return lambda folder: (folder / name).unlink()


def write(name, text):
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def cut(name, share):
    def change(folder):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return change


def edit(**values):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}))

    return change


def edit_equations(folder):
    path = folder / "config.json"
    text = path.read_text("utf-8")
    assert "tanh" in text
    path.write_text(text.replace("tanh", "sigmoid"), encoding="utf-8")


def edit_vocabulary(change):
    def apply(folder):
        path = folder / "vocabulary.json"
        path.write_text(json.dumps(change(json.loads(path.read_text("utf-8")))))

    return apply


def edit_tensors(change):
    def apply(folder):
        tensors, words = read_tensors(folder / "model.safetensors")
        change(tensors)
        write_tensors(folder / "model.safetensors", tensors, words)

    return apply


def not_ours(folder):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, folder / "model.safetensors")


FAULTS = {
    "no folder": (shutil.rmtree, "E601", "model"),
    "no config": (remove("config.json"), "E601", "config.json"),
    "no weights": (remove("model.safetensors"), "E601", "model.safetensors"),
    "no vocabulary": (remove("vocabulary.json"), "E601", "vocabulary.json"),
    "config empty": (write("config.json", ""), "E605", "config.json is not JSON: line 1"),
    "config cut": (cut("config.json", 0.5), "E605", "config.json is not JSON"),
    "config no mapping": (write("config.json", "[]"), "E606", "config.json"),
    "config key unknown": (edit(hiden_size=3), "E606", "hiden_size"),
    "config version": (edit(version=2), "E606", "version"),
    "config size negative": (edit(hidden_size=-1), "E606", "hidden_size"),
    "config size a word": (edit(hidden_size="many"), "E606", "hidden_size"),
    "config size another": (edit(hidden_size=6), "E506", "recurrent"),
    "config size too large to hold": (edit(hidden_size=10**12), "E609", "config.json"),
    "config dropout": (edit(dropout=7.0), "E606", "dropout"),
    "config embedding another": (edit(embedding_size=4), "E506", "embedding.weight"),
    "config layers another": (edit(num_layers=1), "E506", "_l1"),
    "config vocabulary elsewhere": (edit(vocabulary="/etc/passwd"), "E606", "vocabulary"),
    "equations edited": (edit_equations, "E608", "equations"),
    "equations no equations": (edit(equations="hello"), "E608", "equations"),
    "vocabulary cut": (cut("vocabulary.json", 0.7), "E605", "vocabulary.json"),
    "vocabulary shorter": (edit_vocabulary(lambda v: v[1:]), "E606", "vocabulary.json"),
    "vocabulary another": (edit_vocabulary(lambda v: [*v[:-1], "🜁"]), "E608", "characters"),
    "vocabulary turned": (edit_vocabulary(lambda v: v[::-1]), "E606", "vocabulary.json"),
    "vocabulary words": (edit_vocabulary(lambda v: [c * 2 for c in v]), "E606", "vocabulary.json"),
    "weights empty": (write("model.safetensors", ""), "E607", "model.safetensors"),
    "weights no safetensors": (write("model.safetensors", "x" * 99), "E607", "model.safetensors"),
    "weights cut early": (cut("model.safetensors", 0.01), "E607", "model.safetensors"),
    "weights cut late": (cut("model.safetensors", 0.99), "E607", "model.safetensors"),
    "weights of another maker": (not_ours, "E607", "model.safetensors"),
    "weights one less": (edit_tensors(lambda t: t.pop("output.bias")), "E506", "output.bias"),
    "weights one more": (
        edit_tensors(lambda t: t.update(extra=torch.zeros(2))),
        "E506",
        "extra",
    ),
    "weights misshaped": (
        edit_tensors(lambda t: t.update({"output.bias": torch.zeros(2)})),
        "E506",
        "output.bias",
    ),
    "weights of another type": (
        edit_tensors(lambda t: t.update({"output.bias": t["output.bias"].double()})),
        "E506",
        "float64",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(folder, name):
    change, code, named = FAULTS[name]
    change(folder)
    with pytest.raises(ElmanError) as caught:
        lm.load(folder)
    assert caught.value.code == code
    assert named in str(caught.value)
    assert str(folder) in str(caught.value)
