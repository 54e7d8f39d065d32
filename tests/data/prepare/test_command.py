"""The command as a user sees it: bad files, stopping and going on, several processes, verifying, errors."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdnet_pl.cli import main
from sdnet_pl.data.image_io import write_png
from sdnet_pl.data.prepare import samples, workers
from sdnet_pl.data.prepare.manifest import JOURNAL, Journal

MAX_SIDE = 48


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each file: both change when it is written again."""
    found = {path.relative_to(folder).as_posix(): path.stat() for path in folder.rglob("*.*g") if path.is_file()}
    return {
        name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items() if not Path(name).name.startswith(".")
    }


# Pictures that cannot be used


@pytest.fixture
def spoiled(tree, source):
    """Pairs of which six cannot be used, one has its grey alpha stored as RGB, and one is well."""
    tree("pairs")
    names = {name: np.array(Image.open(source / f"alpha/{name}.PNG")) for name in ("a", "C")}
    for name in ("corrupt", "cut", "colour", "clear", "size", "alone", "grey"):
        shutil.copy(source / "image/a.WEBP", source / f"image/{name}.webp")
        write_png(source / f"alpha/{name}.png", names["a"])
    (source / "image/corrupt.webp").write_bytes(b"\x00" * 300)
    data = (source / "alpha/cut.png").read_bytes()
    (source / "alpha/cut.png").write_bytes(data[: len(data) // 2])
    rgb = np.dstack([names["a"]] * 3)
    write_png(source / "alpha/grey.png", rgb)
    write_png(source / "alpha/clear.png", np.dstack([rgb, names["a"]]))
    rgb[30, 20] = (10, 20, 30)
    write_png(source / "alpha/colour.png", rgb)
    write_png(source / "alpha/size.png", names["a"][:-1])
    (source / "alpha/alone.png").unlink()
    return {
        "image/corrupt.webp cannot be read as a picture",
        "alpha/cut.png cannot be read as a picture",
        "alpha/colour.png has channels that differ",
        "alpha/clear.png has transparency of its own",
        "image/size.webp is 56×64 pixels and alpha/size.png is 56×63",
        "image/alone.webp has no alpha of the same name",
    }


GOOD = {
    f"train/{part}"
    for name in ("a", "C", "grey", "nested folder/ü.b")
    for part in (f"fg/{name}.jpg", f"alpha/{name}.png")
}


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_pictures_are_collected_and_the_others_done(spoiled, prepare, written, capsys, workers):
    assert prepare("pairs", "--workers", workers) == 1
    printed = capsys.readouterr().err
    assert all(printed.count(problem) == 1 for problem in spoiled)
    assert "6 problem(s), so" in printed
    assert written() == GOOD | {JOURNAL}


def test_odd_alphas_are_named_and_a_folder_of_them_refused(tree, prepare, source, written, capsys):
    """Inverted ones here, as RGB, as public sets store some; tests/data/test_check.py tells the others."""
    tree("pairs")
    first, second = (source / f"alpha/{name}.PNG" for name in ("a", "nested folder/ü.b"))

    def invert(file: Path) -> None:
        Image.fromarray(np.dstack([255 - np.asarray(Image.open(file).convert("L"))] * 3)).save(file)

    invert(second)
    assert prepare("pairs", destination="one") == 0
    said = f"1 of 3 alphas in {source / 'alpha'} are opaque around the picture and transparent within"
    assert f"{said}, as if inverted (nested folder/ü.b.PNG)" in capsys.readouterr().err
    invert(first)
    assert prepare("pairs") == 2
    error = capsys.readouterr().err
    assert f"error: 2 of 3 alphas in {source / 'alpha'} are opaque around" in error
    assert "(a.PNG, nested folder/ü.b.PNG); invert them" in error
    assert "or prepare them as they are with --no-check." in error
    assert written() == {JOURNAL}
    assert prepare("pairs", "--no-check") == 0
    assert capsys.readouterr().err.count("inverted") == 0


def test_odd_alphas_of_an_archive_are_named_by_it(tree, source, tmp_path, capsys):
    tree("cutouts")
    for name in ("a", "b", "c"):
        pixels = np.array(Image.open(source / f"{name}.png"))
        pixels[..., 3] = pixels[..., 3] > 127
        Image.fromarray(pixels).save(source / f"{name}.png")
    archive = shutil.make_archive(str(tmp_path / "cut"), "zip", source)
    assert main(["prepare", "cutouts", archive, str(tmp_path / "DST"), "--workers", "1"]) == 2
    assert f"3 of 5 alphas in {archive} are 0 and 1 instead of 0 and 255" in capsys.readouterr().err


def test_bad_pictures_are_left_out_on_demand(spoiled, prepare, written, tmp_path, capsys):
    assert prepare("pairs", "--skip-bad") == 0
    assert "corrupt.webp cannot be read" in capsys.readouterr().err
    assert written() == GOOD | {"manifest.json"}
    left_out = json.loads((tmp_path / "DST/manifest.json").read_text("utf-8"))["left_out"]
    assert len(left_out) == len(spoiled)
    assert all(any(problem in line for line in left_out) for problem in spoiled)
    assert not str(left_out).count(str(tmp_path))


def test_mended_pictures_complete_a_data_set(spoiled, prepare, source, tmp_path, capsys):
    assert prepare("pairs") == 1
    before = stamps(tmp_path / "DST")
    for name in ("corrupt", "cut", "colour", "clear", "size", "alone"):
        shutil.copy(source / "image/a.WEBP", source / f"image/{name}.webp")
        shutil.copy(source / "alpha/a.PNG", source / f"alpha/{name}.png")
    assert prepare("pairs") == 0
    after = stamps(tmp_path / "DST")
    assert len(after) == len(before) + 12
    assert {name: after[name] for name in before} == before


def test_a_name_that_is_no_text_is_a_bad_picture(tree, prepare, source, tmp_path, capsys):
    """As archives from other systems leave them; the others are done, and the manifest can be written."""
    tree("cutouts")
    try:
        shutil.copy(source / "a.png", os.fsencode(source / "caf") + b"\xe9.png")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 alone")
    assert prepare("cutouts") == 1
    assert r"'train/caf\udce9' is not a UTF-8 name; rename the file" in capsys.readouterr().err
    assert prepare("cutouts", "--skip-bad") == 0
    assert main(["prepare", "--verify", str(tmp_path / "DST")]) == 0


def test_nothing_usable_is_no_data_set(prepare, source, tmp_path, capsys):
    (source / "a.png").write_bytes(b"")
    assert prepare("cutouts", "--skip-bad") == 1
    assert not (tmp_path / "DST/manifest.json").exists()


# Stopping and going on

KILLED_WHILE_WRITING = """
import os, signal, sys
from sdnet_pl.cli import main
from sdnet_pl.data.image_io import atomic_write
from sdnet_pl.data.prepare import samples, workers

write, calls = samples.write_png, []

def killed(path, pixels):
    calls.append(path)
    if len(calls) < 3:
        return write(path, pixels)
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"half a pict")
        os.kill(os.getpid(), signal.SIGKILL)

samples.write_png = killed
main(sys.argv[1:])
"""
STOPPED_BETWEEN = """
import os, signal, sys
from sdnet_pl.cli import main
from sdnet_pl.data.prepare.manifest import Journal

add, calls = Journal.add, []
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it

def stopped(self, key, record):
    add(self, key, record)
    calls.append(key)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGNAL)

Journal.add = stopped
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def run_script(tmp_path: Path, text: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Ends when all the processes that it started have ended: they hold its output open."""
    (tmp_path / "script.py").write_text(text)
    command = [sys.executable, tmp_path / "script.py", "prepare", *arguments, "--max-side", MAX_SIDE]
    return subprocess.run([str(item) for item in command], capture_output=True, text=True, check=False)


def check_going_on(prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run does what is missing, and gives what one run would have given."""
    journal = (tmp_path / "DST" / JOURNAL).read_text().splitlines()[1:]
    done = {name for line in journal for name in json.loads(line)["files"]}
    before = stamps(tmp_path / "DST")
    assert done
    assert len(done) < 10
    redone: list[str] = []
    real = workers.write_sample

    def counted(sample, *rest):
        redone.append(sample.key)
        return real(sample, *rest)

    monkeypatch.setattr(workers, "write_sample", counted)
    assert prepare("cutouts") == 0
    after = stamps(tmp_path / "DST")
    assert {name: after[name] for name in done} == {name: before[name] for name in done}
    assert len(redone) == 5 - len(journal)
    assert prepare("cutouts", destination="at once") == 0
    assert contents(tmp_path / "DST") == contents(tmp_path / "at once")


def test_a_run_that_was_killed_while_it_wrote_goes_on(tree, source, tmp_path, prepare, monkeypatch):
    tree("cutouts")
    result = run_script(tmp_path, KILLED_WHILE_WRITING, "cutouts", source, tmp_path / "DST", "--workers", 1)
    assert result.returncode == -signal.SIGKILL
    half = [path for path in (tmp_path / "DST").rglob("*") if path.is_file() and path.read_bytes() == b"half a pict"]
    assert len(half) == 1
    check_going_on(prepare, tmp_path, monkeypatch)


@pytest.mark.parametrize(("name", "status"), [("SIGKILL", -signal.SIGKILL), ("SIGINT", 130)])
def test_a_run_of_two_processes_that_was_stopped_goes_on(tree, source, tmp_path, prepare, monkeypatch, name, status):
    tree("cutouts")
    script = STOPPED_BETWEEN.replace("SIGNAL", name)
    result = run_script(tmp_path, script, "cutouts", source, tmp_path / "DST", "--workers", 2)
    assert result.returncode == status, result.stderr
    assert "Traceback" not in result.stderr
    check_going_on(prepare, tmp_path, monkeypatch)


def test_a_journal_that_breaks_off_counts_up_to_there(tree, prepare, tmp_path, spoil_manifest):
    tree("cutouts")
    journal = spoil_manifest()
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:3]) + lines[3][:20])
    before = stamps(tmp_path / "DST")
    assert prepare("cutouts") == 0
    after = stamps(tmp_path / "DST")
    assert sum(after[name] == before[name] for name in before) == 4


def test_a_file_that_was_changed_meanwhile_is_made_again(tree, prepare, source, tmp_path, spoil_manifest):
    tree("cutouts")
    spoil_manifest()
    (tmp_path / "DST/train/fg/a.jpg").write_bytes(b"")
    (tmp_path / "DST/train/alpha/b.png").unlink()
    pixels = np.array(Image.open(source / "c.png"))
    Image.fromarray(255 - pixels).save(source / "c.png")
    assert prepare("cutouts") == 0
    assert main(["prepare", "--verify", str(tmp_path / "DST")]) == 0
    assert prepare("cutouts", destination="at once") == 0
    assert contents(tmp_path / "DST") == contents(tmp_path / "at once")


def test_a_picture_taken_out_of_the_source_is_no_silent_part(tree, prepare, source, tmp_path, spoil_manifest, capsys):
    tree("cutouts")
    spoil_manifest()
    (source / "a.png").unlink()
    for more in ([], ["--skip-bad"]):
        assert prepare("cutouts", *more) == 1
        assert f"{tmp_path / 'DST/train/fg/a.jpg'} belongs to no picture; remove it" in capsys.readouterr().err


@pytest.fixture
def spoil_manifest(prepare, tmp_path, monkeypatch):
    """Prepares cut-outs but for the manifest, as if the run had been killed before it; gives the journal."""

    def run() -> Path:
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            assert prepare("cutouts") == 130
        return tmp_path / "DST" / JOURNAL

    return run


def test_a_full_disk_ends_the_run_and_loses_nothing(tree, prepare, tmp_path, monkeypatch, capsys):
    tree("cutouts")
    real = samples.write_jpeg
    calls: list[Path] = []

    def full(path, pixels):
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device", str(path))
        real(path, pixels)

    with monkeypatch.context() as patch:
        patch.setattr(samples, "write_jpeg", full)
        assert prepare("cutouts") == 2
    assert "No space left on device" in capsys.readouterr().err
    check_going_on(prepare, tmp_path, monkeypatch)


def test_a_complete_data_set_is_left_as_it_is(tree, prepare, tmp_path, capsys):
    tree("cutouts")
    assert prepare("cutouts") == 0
    before = stamps(tmp_path / "DST")
    assert prepare("cutouts") == 0
    assert "is complete already" in capsys.readouterr().out
    assert stamps(tmp_path / "DST") == before


@pytest.mark.parametrize("name", ["p3m10k", "voc"])
def test_two_processes_write_what_one_writes(tree, prepare, tmp_path, name):
    tree(name)
    assert prepare(name) == 0
    assert prepare(name, "--workers", 2, destination="by two") == 0
    assert contents(tmp_path / "DST") == contents(tmp_path / "by two")


def test_a_process_that_dies_is_explained(tree, source, tmp_path):
    tree("cutouts")
    script = """
import os, sys
from sdnet_pl.data.prepare import samples, workers
if __name__ == "__main__":
    from sdnet_pl.cli import main
    sys.exit(main(sys.argv[1:]))
samples.contents = lambda *_: os._exit(9)
"""
    result = run_script(tmp_path, script, "cutouts", source, tmp_path / "DST", "--workers", 2)
    assert result.returncode == 2
    assert "lower --workers and give the same command again" in result.stderr


# Verifying


def test_verify_lists_what_is_missing_changed_and_extra(tree, prepare, tmp_path, capsys):
    tree("cutouts")
    assert prepare("cutouts") == 0
    folder = tmp_path / "DST"
    assert main(["prepare", "--verify", str(folder)]) == 0
    assert "all files are as in its manifest" in capsys.readouterr().out
    (folder / "train/fg/a.jpg").unlink()
    data = bytearray((folder / "train/alpha/b.png").read_bytes())
    data[-20] ^= 1
    (folder / "train/alpha/b.png").write_bytes(data)
    (folder / "train/fg/c.jpg").write_bytes(b"")
    (folder / "train/alpha/new.png").touch()
    (folder / ".hidden").touch()
    assert main(["prepare", "--verify", str(folder)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "changed train/alpha/b.png",
        "missing train/fg/a.jpg",
        "changed train/fg/c.jpg",
        "extra .hidden",
        "extra train/alpha/new.png",
        f"{folder}: 5 file(s) differ from its manifest",
    ]


def test_verify_needs_a_manifest(tree, prepare, tmp_path, spoil_manifest, capsys):
    for content, message in ((None, "holds no manifest.json; prepare one first"), ("[]", "manifest.json is damaged")):
        (tmp_path / "other").mkdir(exist_ok=True)
        if content:
            (tmp_path / "other/manifest.json").write_text(content)
        assert main(["prepare", "--verify", str(tmp_path / "other")]) == 2
        assert message in capsys.readouterr().err
    tree("cutouts")
    spoil_manifest()
    assert main(["prepare", "--verify", str(tmp_path / "DST")]) == 2
    assert "its preparation has not ended: run it again" in capsys.readouterr().err


# Errors


@pytest.mark.parametrize(
    ("source", "destination", "message"),
    [
        ("data", "data", "lie in one another"),
        ("data", "data/out", "lie in one another"),
        ("data/image", "data", "lie in one another"),
        ("link", "data/out", "lie in one another"),
        ("nowhere", "out", "nowhere does not exist; give the data set's folder or archive"),
        ("data", "file", "file is a file; give the folder to write"),
        ("data", "full", "holds files that are not a prepared data set"),
    ],
)
def test_paths_are_checked_before_anything_is_written(tmp_path, capsys, source, destination, message):
    for name in ("image", "alpha"):
        write_folder = tmp_path / "data" / name
        write_folder.mkdir(parents=True)
        Image.new("L", (40, 40), 9).save(write_folder / "a.png")
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    before = contents(tmp_path)
    assert main(["prepare", "pairs", str(tmp_path / source), str(tmp_path / destination)]) == 2
    assert message in capsys.readouterr().err
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--max-side", 31], "--max-side is 31; the network takes sides of at least 32"),
        (["--workers", 0], "--workers is 0; at least one"),
        (["--split", "x"], "cutouts takes no --split, all of it is used; leave it out (it is for adobe,"),
    ],
)
def test_options_are_checked(tree, prepare, tmp_path, capsys, more, message):
    tree("cutouts")
    assert prepare("cutouts", *more) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "DST").exists()


def test_arguments_may_not_be_left_out(capsys, tmp_path):
    for arguments in ([], ["cutouts"], ["cutouts", str(tmp_path)]):
        assert main(["prepare", *arguments]) == 2
        assert "prepare takes NAME, SRC and DST" in capsys.readouterr().err


@pytest.mark.parametrize("complete", [True, False])
def test_a_run_goes_on_with_its_own_options_only(tree, prepare, tmp_path, capsys, spoil_manifest, complete):
    tree("cutouts")
    if complete:
        assert prepare("cutouts") == 0
    else:
        spoil_manifest()
    before = contents(tmp_path / "DST")
    assert prepare("cutouts", "--max-side", 64) == 2
    assert "holds another preparation, with max_side 48 (now 64); repeat that one" in capsys.readouterr().err
    shutil.copytree(tmp_path / "source of pictures", tmp_path / "others")
    assert main(["prepare", "cutouts", str(tmp_path / "others"), str(tmp_path / "DST"), "--max-side", "48"]) == 2
    assert "source source of pictures (now others)" in capsys.readouterr().err
    assert contents(tmp_path / "DST") == before


def test_another_list_is_another_data_set(tree, prepare, tmp_path, capsys):
    tree("adobe")
    assert prepare("adobe") == 0
    (tmp_path / "people.txt").write_text("h_10\n")
    assert prepare("adobe") == 2
    assert "split_sha256" in capsys.readouterr().err


def test_a_run_that_wrote_nothing_binds_nobody(prepare, source, tmp_path, capsys):
    (source / "a.png").write_bytes(b"")
    assert prepare("cutouts") == 1
    Image.new("RGBA", (40, 40), (1, 2, 3, 4)).save(source / "a.png")
    assert prepare("cutouts", "--max-side", 32) == 0
