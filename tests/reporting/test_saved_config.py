"""What a saved config keeps of the files that it was made of."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sdnet_pl.reporting.saved_config import dump, read_config, resolved, saved, with_references

SOURCE = {"class_path": "sdnet_pl.data.CutoutFolder", "init_args": {"path": "${....root}/train", "names": "a b.txt"}}
WRITTEN: dict[str, Any] = {
    "seed_everything": 3,
    "model": {"preset": "sdnet", "weights": "runs/w/best.ckpt", "lr": "${oc.env:LR,1e-3}"},
    "trainer": {"logger": {"init_args": {"save_dir": "."}}},
    "data": {
        "root": "${oc.env:SDNET_DATA,pictures}",
        "size": 64,
        "seed": "${seed_everything}",
        "foregrounds": [SOURCE],
        "backgrounds": [{"init_args": {"path": "s3://bucket/voc"}}, {"init_args": {"path": "near"}}],
        "validation": {"p3m-500": {"size": "${...size}", "path": "${data.root}"}},
        "test": "${data.validation}",
    },
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SDNET_DATA", "LR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_again(text: str, **changed: Any) -> dict[str, Any]:
    """The values of a saved config, with others in the places of some of `data`."""
    config = yaml.safe_load(text)
    config["data"] |= changed
    return resolved(config)


def made(written: dict[str, Any], files: list[str] | None = None) -> str:
    values = resolved(written)
    values["model"]["lr"] = float(values["model"]["lr"])  # as the parser does
    return dump(saved(with_references(values, written), files or []))


def test_it_repeats_the_run_from_anywhere(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    text = made(WRITTEN)
    (elsewhere / "other").mkdir()
    monkeypatch.chdir(elsewhere / "other")
    again = run_again(text)
    data = again["data"]
    assert data["root"] == str(elsewhere / "pictures")
    assert data["foregrounds"][0]["init_args"] == {
        "path": f"{elsewhere}/pictures/train",
        "names": str(elsewhere / "a b.txt"),
    }
    assert [source["init_args"]["path"] for source in data["backgrounds"]] == ["s3://bucket/voc", f"{elsewhere}/near"]
    assert again["model"].pop("lr") == "1e-3"  # of which the parser makes what it made before
    assert again["model"] == {"preset": "sdnet", "weights": f"{elsewhere}/runs/w/best.ckpt"}
    assert again["trainer"]["logger"]["init_args"]["save_dir"] == "."  # which is the run's own directory
    assert data["foregrounds"][0]["class_path"] == "sdnet_pl.data.CutoutFolder"


def test_an_override_reaches_all_that_refers_to_it(monkeypatch: pytest.MonkeyPatch):
    text = made(WRITTEN)
    assert "path: ${data.root}/train" in text  # as people write it
    data = run_again(text, root="/moved", size=96)["data"]
    assert data["foregrounds"][0]["init_args"]["path"] == "/moved/train"
    assert data["validation"]["p3m-500"] == {"size": 96, "path": "/moved"}
    assert data["test"] == data["validation"]
    monkeypatch.setenv("SDNET_DATA", "/elsewhere")
    monkeypatch.setenv("LR", "0.5")
    again = run_again(text)
    assert again["data"]["foregrounds"][0]["init_args"]["path"] == "/elsewhere/train"
    assert float(again["model"]["lr"]) == 0.5


@pytest.mark.parametrize("place", ["/a b/Łukasz, ü", "/it's", "/a}b{c", "/end\\", "/a:b=c"])
def test_a_variable_keeps_the_value_that_it_had(place: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SDNET_DATA", place)
    text = made(WRITTEN)
    assert run_again(text)["data"]["root"] == place
    monkeypatch.delenv("SDNET_DATA")
    assert run_again(text)["data"]["root"] == place
    monkeypatch.setenv("SDNET_DATA", "/new")
    assert run_again(text)["data"]["root"] == "/new"


def test_variables_within_variables(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    written = {**WRITTEN, "data": {"root": "${oc.env:MINE,${oc.env:SDNET_DATA,pictures}}/set", "size": 1}}
    monkeypatch.setenv("SDNET_DATA", "/data")
    text = made(written)
    monkeypatch.delenv("SDNET_DATA")
    assert run_again(text)["data"]["root"] == "/data/set"
    monkeypatch.setenv("MINE", "/mine")
    assert run_again(text)["data"]["root"] == "/mine/set"


def test_a_relative_variable_is_no_other_place_later(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    """It is set still, in another working directory."""
    monkeypatch.setenv("SDNET_DATA", "pictures")
    text = made(WRITTEN)
    (elsewhere / "other").mkdir()
    monkeypatch.chdir(elsewhere / "other")
    assert run_again(text)["data"]["root"] == str(elsewhere / "pictures")


@pytest.mark.parametrize("spelling", ["pictures", "./pictures", "pictures/", "other/../pictures", "{}/pictures/"])
@pytest.mark.parametrize("variable", [False, True])
def test_an_override_reaches_what_refers_to_a_root_however_it_was_spelled(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, spelling: str, variable: bool
):
    root = spelling.format(elsewhere)
    if variable:
        monkeypatch.setenv("SDNET_DATA", root)
    text = made(WRITTEN if variable else {**WRITTEN, "data": {**WRITTEN["data"], "root": root}})
    for changed, place in (({}, elsewhere / "pictures"), ({"root": "/moved"}, Path("/moved"))):
        data = run_again(text, **changed)["data"]
        # Path() reads a name with two slashes, or one at its end, as people do.
        assert Path(data["root"]) == place
        assert Path(data["foregrounds"][0]["init_args"]["path"]) == place / "train"
        assert Path(data["validation"]["p3m-500"]["path"]) == Path(data["test"]["p3m-500"]["path"]) == place


@pytest.mark.parametrize("spelling", ["/first/", "/first//", "/./first"])
def test_a_variable_tells_later_too_where_the_data_are(elsewhere: Path, monkeypatch: pytest.MonkeyPatch, spelling: str):
    monkeypatch.setenv("SDNET_DATA", spelling)
    text = made(WRITTEN)
    monkeypatch.setenv("SDNET_DATA", "/later")
    data = run_again(text)["data"]
    assert data["root"] == "/later"
    assert data["foregrounds"][0]["init_args"]["path"] == "/later/train"


def test_a_root_of_the_command_line_counts_unless_the_variable_is_set_later(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
):
    (elsewhere / "c.yaml").write_text("data: {root: '${oc.env:SDNET_DATA,data}'}", encoding="utf-8")
    overridden = {**WRITTEN, "data": {**WRITTEN["data"], "root": "given"}}
    (elsewhere / "parts.yaml").write_text("data: data.yaml", encoding="utf-8")
    text = made(overridden, ["c.yaml", "parts.yaml", "{seed_everything: 3}"])
    assert run_again(text)["data"]["root"] == str(elsewhere / "given")
    monkeypatch.setenv("SDNET_DATA", "/now")
    assert run_again(text)["data"]["root"] == "/now"  # the data have moved
    text = made(overridden, ["c.yaml"])
    assert run_again(text)["data"]["root"] == str(elsewhere / "given")  # it was overruled, and still is


def test_what_is_a_place_on_a_disk(elsewhere: Path):
    (elsewhere / "sdnet").mkdir()
    (elsewhere / "mine.ckpt").touch()
    model = {"preset": "sdnet", "weights": "sdnet-fast", "first_pass": "no/such.ckpt", "teacher": "mine.ckpt", "lr": 1}
    names = {"names": ["studio*", "a/b"], "root": None, "class_path": "torch.nn.Linear", "project": "sdnet"}
    found = saved({"model": model, "data": names})
    places = {"first_pass": f"{elsewhere}/no/such.ckpt", "teacher": f"{elsewhere}/mine.ckpt"}
    assert found == {"model": model | places, "data": names}


def test_what_has_changed_since_is_no_reference():
    values = resolved(WRITTEN)
    values["data"]["seed"] = 7
    values["data"]["validation"] = {}
    config = saved(with_references(values, WRITTEN))
    assert config["data"]["seed"] == 7
    assert config["data"]["test"]["p3m-500"]["size"] == 64  # in full: no longer that of the validation


def test_reports_read_what_it_was(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    (elsewhere / "config.yaml").write_text(made(WRITTEN), encoding="utf-8")
    monkeypatch.setenv("SDNET_DATA", "/elsewhere")
    monkeypatch.setenv("LR", "5")
    config = read_config(elsewhere / "config.yaml")
    assert config["data"]["foregrounds"][0]["init_args"]["path"] == f"{elsewhere}/pictures/train"
    assert float(config["model"]["lr"]) == 1e-3
