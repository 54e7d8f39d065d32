"""What is not laid out as published: named, with the remedy."""

import json
import shutil
from functools import partial

import pytest

from sdnet_pl.data.prepare.datasets import DATASETS


@pytest.fixture
def error(prepare, capsys):
    """What a command that cannot start says."""

    def run(*arguments: object) -> str:
        assert prepare(*arguments) == 2
        return capsys.readouterr().err

    return run


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_holds_another_data_set_is_refused(name, source, error, tmp_path):
    (source / "notes").mkdir()
    if DATASETS[name].split:
        (tmp_path / "people.txt").write_text("a\n")
    assert f"{source} holds no" in error(name)
    assert not (tmp_path / "DST").exists()


@pytest.mark.parametrize("name", ["adobe", "distinction646"])
def test_who_are_people_has_to_be_said(name, tree, error, tmp_path):
    tree(name)
    (tmp_path / "people.txt").unlink()
    assert "--split FILE who they are; one that matches the paper's 78 + 342 people is published with" in error(name)


def test_portraits_need_the_categories_or_a_list(tree, prepare, written, error, source, tmp_path):
    tree("aim500")
    (source / "AIM-500/aim_category_type.json").write_text("[]")
    assert "does not give each picture a category" in error("aim500")
    (source / "AIM-500/aim_category_type.json").unlink()
    assert "no aim_category_type.json" in error("aim500")
    (tmp_path / "people.txt").write_text("o_0c8f03f0\n")
    assert prepare("aim500") == 0
    assert {path for path in written() if "image/" in path} == {"test/image/o_0c8f03f0.jpg"}


def test_names_that_fit_nothing_are_listed(tree, prepare, source, tmp_path, capsys):
    tree("adobe")
    with (tmp_path / "people.txt").open("a") as stream:
        stream.write("nobody.jpg\nno one\n")
    assert prepare("adobe") == 1
    assert "2 of 7 names of the split list fit no file (no one, nobody.jpg)" in capsys.readouterr().err
    assert prepare("adobe", "--skip-bad") == 0
    assert "nobody.jpg" in json.loads((tmp_path / "DST/manifest.json").read_text("utf-8"))["left_out"][0]


def test_a_name_that_fits_twice_has_to_be_told_apart(tree, prepare, written, error, source, tmp_path):
    tree("distinction646")
    for folder in ("FG", "GT"):
        top = source / "Distinctions-646"
        shutil.copy(top / "Test" / folder / "test_8.png", top / "Train" / folder / "test_8.png")
    message = error("distinction646")
    assert (
        "'test_8' of the split list fits Distinctions-646/Train/FG/test_8.png and Distinctions-646/Test/FG" in message
    )
    (tmp_path / "people.txt").write_text("Train/FG/test_8\n")
    assert prepare("distinction646") == 0
    assert written() == {"train/fg/test_8.jpg", "train/alpha/test_8.png", "manifest.json"}


def test_lists_add_up(tree, prepare, written, tmp_path):
    tree("distinction646")
    (tmp_path / "more.txt").write_text("t_62.png\n")
    assert prepare("distinction646", "--split", tmp_path / "more.txt") == 0
    assert "train/fg/t_62.jpg" in written()
    assert "train/fg/h_0.jpg" in written()


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), (b"\n \n", "is empty"), (b"\xff\xfe\0", "is not UTF-8 text")]
)
def test_a_list_that_is_none_is_refused(tree, error, tmp_path, content, message):
    tree("adobe")
    (tmp_path / "people.txt").unlink()
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    assert f"list.txt {message}" in error("adobe", "--split", tmp_path / "list.txt")


def test_accents_may_be_composed_or_not(tree, prepare, written, tmp_path):
    tree("adobe")
    (tmp_path / "people.txt").write_text("e\N{COMBINING ACUTE ACCENT}le\N{COMBINING GRAVE ACCENT}ve\n", "utf-8")
    assert prepare("adobe") == 0
    assert "train/fg/élève.jpg" in written()


def test_an_incomplete_download_is_noticed(source, prepare, tree, tmp_path, capsys):
    tree("p3m10k")
    shutil.rmtree(source / "P3M-10k/validation/P3M-500-NP")
    (source / "P3M-10k/train/mask/p_015cd10e.png").unlink()
    (source / "P3M-10k/validation/P3M-500-P/trimap/p_0865636e.png").unlink()
    assert prepare("p3m10k") == 1
    printed = capsys.readouterr().err
    assert "P3M-10k/train/blurred_image/p_015cd10e.jpg has no alpha of the same name" in printed
    assert "P3M-500-P/blurred_image/p_0865636e.jpg has no trimap of the same name" in printed
    assert "P3M-500-NP/original_image/ gives 0 samples, and its publisher counts 2" in printed
    assert not (tmp_path / "DST/manifest.json").exists()


def test_the_counts_are_those_of_the_publishers():
    for name, counts in (("p3m10k", [9421, 500, 500]), ("ppm100", [100])):
        find = DATASETS[name].find
        assert isinstance(find, partial)
        assert [part.published for part in find.keywords["parts"]] == counts


@pytest.mark.parametrize(("name", "first", "second"), [("cutouts", "a.png", "a.webp"), ("pairs", "image/a", "image/a")])
def test_two_files_of_one_name_are_a_problem(tree, prepare, source, capsys, name, first, second):
    tree(name)
    if name == "pairs":
        first, second = f"{first}.WEBP", f"{second}.jpg"
    shutil.copy(source / first, source / second)
    assert prepare(name) == 1
    printed = capsys.readouterr().err
    assert f"{first} and {second} have one name" in printed or f"{second} and {first} have one name" in printed


def test_one_name_in_two_folders_is_a_problem(source, prepare, tree, capsys, tmp_path):
    tree("pairs")
    for folder in ("image", "alpha"):
        shutil.copytree(source / folder, source / "more" / folder)
    assert prepare("pairs") == 1
    assert "image/a.WEBP and more/image/a.WEBP would both be written to train/a" in capsys.readouterr().err


def test_pictures_of_coco_without_annotations_are_named(tree, prepare, source, written, capsys, error):
    tree("coco")
    (source / "annotations/instances_val2017.json").unlink()
    (source / "train2017/000000000003.jpg").unlink()
    assert prepare("coco") == 1
    printed = capsys.readouterr().err
    assert "val2017/ has no instances_val2017.json" in printed
    assert "train2017/ lacks 1 of the 3 pictures that show nobody (000000000003.jpg" in printed
    (source / "annotations/instances_train2017.json").write_text("{")
    assert "instances_train2017.json is not a file of COCO's instance annotations" in error("coco")


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_stored_on_another_disk_may_be_linked(name, tree, prepare, written, source, tmp_path):
    expected = tree(name)
    for path in list(source.iterdir()):
        (tmp_path / "disk").mkdir(exist_ok=True)
        (source / path.name).symlink_to(shutil.move(path, tmp_path / "disk"))
    assert prepare(name) == 0
    assert written() == expected | {"manifest.json"}


def test_half_of_coco_is_enough(tree, prepare, source, written):
    tree("coco")
    shutil.rmtree(source / "train2017")
    assert prepare("coco") == 0
    assert written() == {"val2017/000000000000.jpg", "manifest.json"}


def test_pictures_of_voc_without_annotations_are_counted(tree, prepare, source, written, capsys):
    tree("voc")
    (source / "VOCdevkit/VOC2012/Annotations/2007_000032.xml").unlink()
    assert prepare("voc") == 1
    assert "holds 1 picture(s) without a readable annotation (2007_000032, ...)" in capsys.readouterr().err
    assert prepare("voc", "--skip-bad") == 0
    assert written() == {"VOC2012/2012_004331.jpg", "manifest.json"}
