"""Networks in folders of the Hugging Face Hub and by torch.hub; nothing reaches a network."""

import json
import runpy
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import ModelCard, hub_mixin

import sdnet_pl
from sdnet_pl.errors import InputError
from sdnet_pl.hub import SDNet
from sdnet_pl.inference.weights import NO_LICENCE, load_weights

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights that ship, with a trimap, as a folder."""
    folder = tmp_path_factory.mktemp("hub") / "portraits"
    SDNet.from_weights("sdnet-fast-trimap").save_pretrained(folder)
    return folder


@torch.inference_mode()
def test_the_weights_that_ship_give_the_same_alphas_from_a_folder(shipped: Path):
    expected, size = load_weights("sdnet-fast-trimap")
    model = SDNet.from_pretrained(shipped)
    picture = torch.rand(1, 4, 64, 96)
    assert not model.training
    assert torch.equal(model(picture), expected(picture))
    assert model.training_size == size
    again, _ = load_weights(shipped / "model.safetensors")  # what sdnet-pl matte --weights reads
    assert torch.equal(again(picture), expected(picture))


def test_licence_and_card_travel_along(shipped: Path, tmp_path: Path):
    assert "research use only" in (shipped / "LICENSE").read_text()
    card = ModelCard.load(shipped / "README.md")
    assert (card.data["license"], card.data["license_link"]) == ("other", "LICENSE")
    assert "research use only" in card.text
    assert "RGB and a trimap" in card.text
    model = SDNet.from_pretrained(shipped)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "LICENSE").read_bytes() == (shipped / "LICENSE").read_bytes()
    assert SDNet.from_weights(shipped / "model.safetensors", licence="CC BY 4.0").licence == "CC BY 4.0"


@torch.inference_mode()
def test_the_config_rebuilds_a_changed_network(tmp_path: Path):
    changes = {"ampa": False, "widths": (8, 8, 16, 16)}
    model = SDNet("sdnet-tiny", trimap=True, network=changes, training_size=64).eval()
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config == {
        "preset": "sdnet-tiny",
        "trimap": True,
        "network": {"ampa": False, "widths": [8, 8, 16, 16]},
        "training_size": 64,
        "licence": NO_LICENCE,
    }
    picture = torch.rand(1, 4, 32, 48)
    assert torch.equal(SDNet.from_pretrained(tmp_path)(picture), model(picture))
    (tmp_path / "config.json").write_text(json.dumps(config | {"network": {}}))
    with pytest.raises(InputError, match="do not fit the network"):
        SDNet.from_pretrained(tmp_path)


def test_pickled_weights_are_not_read(tmp_path: Path):
    SDNet("sdnet-tiny").save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"There are no weights .*model\.safetensors"):
        SDNet.from_pretrained(tmp_path)


def test_push_uploads_the_folder(shipped: Path, monkeypatch: pytest.MonkeyPatch):
    uploads = []

    def upload_folder(repo_id, folder_path, **_):
        uploads.append((repo_id, sorted(file.name for file in Path(folder_path).iterdir())))
        return "commit"

    repository = SimpleNamespace(repo_id="me/portraits")
    api = SimpleNamespace(create_repo=lambda **_: repository, upload_folder=upload_folder)
    monkeypatch.setattr(hub_mixin, "HfApi", lambda **_: api)
    assert SDNet.from_pretrained(shipped).push_to_hub("me/portraits") == "commit"
    assert uploads == [("me/portraits", ["LICENSE", "README.md", "config.json", "model.safetensors"])]


def test_without_huggingface_hub_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "sdnet_pl.hub")
    with pytest.raises(InputError, match=r"sdnet_pl\.hub needs huggingface_hub.*sdnet_pl\[hub\]"):
        import_module("sdnet_pl.hub")


@torch.inference_mode()
def test_torch_hub_loads_every_preset_that_ships(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    names = {name.replace("-", "_") for name in sdnet_pl.list_models(pretrained=True)}
    entries = runpy.run_path(str(ROOT / "hubconf.py"))
    assert {name for name, value in entries.items() if callable(value)} == names
    model = torch.hub.load(str(ROOT), "sdnet_fast", source="local", pretrained=True)
    picture = torch.rand(1, 3, 64, 64)
    assert torch.equal(model(picture), sdnet_pl.load_pretrained("sdnet-fast")(picture))
    assert torch.hub.load(str(ROOT), "sdnet", source="local", trimap=True).in_channels == 4
