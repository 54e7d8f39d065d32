import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdnet_pl.cli import main
from sdnet_pl.data import formats
from sdnet_pl.data.listing import list_pictures, pictures_by_name, walk
from sdnet_pl.data.prepare.base import find_folders
from sdnet_pl.data.sources.folders import BackgroundFolder, CutoutFolder
from sdnet_pl.errors import InputError, InputWarning


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch):
    """As where nothing beside Pillow is installed."""
    known = {suffix: name for suffix, name in Image.registered_extensions().items() if name not in ("HEIF", "JXL")}
    monkeypatch.setattr(Image, "registered_extensions", lambda: known)
    formats.picture_suffixes.cache_clear()
    yield
    formats.picture_suffixes.cache_clear()


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def listed(folder: Path) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        return [file.relative_to(folder).as_posix() for file in list_pictures(folder)]


def left_out(folder: Path) -> str:
    with pytest.warns(InputWarning) as warned:
        list_pictures(folder)
    assert len(warned) == 1
    return str(warned[0].message)


def test_listing_is_sorted_and_leaves_hidden_files_out(tmp_path):
    touch(tmp_path, "b.PNG", "a.jpg", "sub/a.webp", "._a.jpg", ".cache/c.png", "Thumbs.db", ".DS_Store", "sub/.d.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list_pictures(tmp_path) == [tmp_path / name for name in ("a.jpg", "b.PNG", "sub/a.webp")]


def test_listing_works_below_a_hidden_folder(tmp_path):
    touch(tmp_path, ".data/a.png")
    assert len(list_pictures(tmp_path / ".data")) == 1


def test_listing_names_what_is_wrong(tmp_path):
    touch(tmp_path, "a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"nowhere does not exist; give"):
        list_pictures(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"a\.png is a file"):
        list_pictures(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"empty holds no picture; put files there that end in \.jpg.*\.webp"):
        list_pictures(tmp_path / "empty")


@pytest.mark.parametrize(
    "suffix",
    [".jfif", ".jpe", ".pjpeg", ".mpo", ".jp2", ".ppm", ".tga", ".apng", ".psd", ".qoi", ".pgm", ".TIF", ".JPG"],
)
def test_what_pillow_reads_is_listed(tmp_path, suffix):
    touch(tmp_path, f"photo{suffix}")
    assert listed(tmp_path) == [f"photo{suffix}"]


@pytest.mark.parametrize("suffix", [".pdf", ".eps", ".mp4", ".h5", ".txt", ".emf", ""])
def test_what_holds_no_pixels_is_not(tmp_path, suffix):
    touch(tmp_path, "photo.png", f"other{suffix}")
    assert listed(tmp_path) == ["photo.png"]
    assert f"other{suffix} (no picture by its name)" in left_out(tmp_path)


def test_what_is_left_out_is_named_with_the_reason(tmp_path):
    touch(
        tmp_path,
        "a.jpg",
        "notes.txt",
        "IMG_1.NEF",
        "IMG_1.CR3",
        "b.heic",
        "c.jxl",
        "sub/d.csv",
        "sub/e.csv",
        "sub/f.csv",
    )
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    message = left_out(tmp_path)
    assert message.startswith(f"{tmp_path}: of its files these are left out: ")
    for part in (
        f"notes.txt, {Path('sub/d.csv')}, {Path('sub/e.csv')} and 1 more (no picture by its name)",
        "IMG_1.CR3, IMG_1.NEF (a camera raw file: develop it, and save it as a JPEG or TIFF)",
        "b.heic (HEIC: install pillow-heif, or save it as a JPEG)",
        "c.jxl (JPEG XL: install pillow-jxl-plugin, or save it as a JPEG)",
        "gone.png (a link to nothing)",
    ):
        assert part in message


def test_a_folder_of_nothing_but_raw_files_says_what_to_do(tmp_path):
    touch(tmp_path, "IMG_1.DNG")
    with pytest.raises(InputError, match=r"holds no picture, but IMG_1\.DNG \(a camera raw file: develop it"):
        list_pictures(tmp_path)


# Links


@pytest.fixture
def linked(tmp_path):
    """One picture, and five more by links: to a file, to a folder, and below that."""
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    touch(photos, "a.png")
    touch(elsewhere, "single.png", "album/b.png", "album/deep/c.png", "other/d.png", "other/e.png")
    (photos / "link.png").symlink_to(elsewhere / "single.png")
    (photos / "album").symlink_to(elsewhere / "album", target_is_directory=True)
    (photos / "sub").mkdir()
    (photos / "sub" / "other").symlink_to(Path("..") / ".." / "elsewhere" / "other", target_is_directory=True)
    return photos


def test_linked_files_and_folders_are_read(linked):
    assert listed(linked) == [
        "a.png", "album/b.png", "album/deep/c.png", "link.png", "sub/other/d.png", "sub/other/e.png"
    ]  # fmt: skip
    assert list(pictures_by_name(linked)) == ["a", "album/b", "album/deep/c", "link", "sub/other/d", "sub/other/e"]


def test_a_folder_that_is_a_link_is_read(linked, tmp_path):
    (tmp_path / "again").symlink_to(linked, target_is_directory=True)
    assert listed(tmp_path / "again") == listed(linked)


def test_sources_read_linked_pictures(linked):
    for file in list_pictures(linked):
        Image.fromarray(np.zeros((4, 4, 4), np.uint8)).save(file)
    assert len(CutoutFolder(str(linked))) == len(BackgroundFolder(str(linked))) == 6


def test_links_in_a_circle_end_and_no_picture_is_taken_twice_for_them(linked, tmp_path):
    before = listed(linked)
    (linked / "self").symlink_to(linked, target_is_directory=True)
    (linked / "sub" / "up").symlink_to("..", target_is_directory=True)
    (linked / "above").symlink_to(tmp_path, target_is_directory=True)  # whose other pictures nobody named
    (tmp_path / "elsewhere" / "album" / "back").symlink_to(linked, target_is_directory=True)
    (tmp_path / "elsewhere" / "album" / "round").symlink_to(tmp_path / "elsewhere" / "other", target_is_directory=True)
    (tmp_path / "elsewhere" / "other" / "round").symlink_to(tmp_path / "elsewhere" / "album", target_is_directory=True)
    (linked / "loop.png").symlink_to("loop.png")
    found = [file.resolve() for file in map(linked.joinpath, listed(linked))]
    assert sorted(found) == sorted((linked / name).resolve() for name in before)
    message = left_out(linked)
    assert "loop.png (a link" in message
    assert "(a link to a folder that is searched already, or is above)" in message


def test_a_folder_keeps_its_own_name_beside_a_link_to_it(tmp_path):
    touch(tmp_path, "z/a.png")
    (tmp_path / "b").symlink_to("z", target_is_directory=True)
    assert listed(tmp_path) == ["z/a.png"]


def test_a_file_counts_as_often_as_it_is_named(tmp_path):
    touch(tmp_path, "one.png")
    (tmp_path / "two.png").symlink_to("one.png")
    assert listed(tmp_path) == ["one.png", "two.png"]


def test_a_folder_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "locked/b.png")
    scan = os.scandir

    def deny(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", deny)
    assert "locked (a folder that cannot be opened (Permission denied))" in left_out(tmp_path)


def test_folders_of_a_data_set_may_be_links(tmp_path):
    touch(tmp_path, "disk/PPM/image/a.jpg", "set/readme.txt")
    (tmp_path / "set" / "PPM").symlink_to(tmp_path / "disk" / "PPM", target_is_directory=True)
    assert find_folders(tmp_path / "set", "image") == [tmp_path / "set" / "PPM" / "image"]
    assert [folder.name for folder in walk(tmp_path / "set").folders] == ["PPM", "image"]


# The command line


def test_what_is_left_out_is_said_as_errors_are(tmp_path, capsys):
    touch(tmp_path / "photos", "a.nef", "b.png", "notes.txt")
    assert main(["matte", str(tmp_path / "photos"), "-o", str(tmp_path / "out"), "--device", "nowhere"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"sdnet-pl: warning: {tmp_path / 'photos'}: of its files these are left out: a.nef (a")
    assert said[0].endswith("notes.txt (no picture by its name).")
