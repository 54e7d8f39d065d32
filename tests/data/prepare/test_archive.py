import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from sdnet_pl.cli import main
from sdnet_pl.data.prepare.archive import unpack
from sdnet_pl.errors import InputError


@pytest.fixture
def packed(tree, source, tmp_path):
    """Makes an archive of the miniature of PPM-100, and says what is prepared of it."""

    def make(name: str) -> set[str]:
        expected = tree("ppm100")
        if name.endswith(".zip"):
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                for path in sorted(source.rglob("*")):
                    archive.write(path, path.relative_to(source))
        else:
            with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as archive_tar:
                archive_tar.add(source, ".")
        return expected

    return make


@pytest.mark.parametrize("name", ["PPM-100.zip", "PPM-100.tar", "PPM-100.tar.gz"])
def test_an_archive_gives_what_its_folder_gives(packed, prepare, written, tmp_path, name, capsys):
    expected = packed(name)
    arguments = ["prepare", "ppm100", str(tmp_path / name), str(tmp_path / "DST"), "--max-side", "48", "--workers", "1"]
    assert main(arguments) == 0
    assert written() == expected | {"manifest.json"}
    assert not [path.name for path in (tmp_path / "DST").iterdir() if path.name.startswith(".")]
    assert prepare("ppm100", destination="of the folder") == 0
    for path in expected:
        assert (tmp_path / "DST" / path).read_bytes() == (tmp_path / "of the folder" / path).read_bytes()
    capsys.readouterr()
    assert main(arguments) == 0
    assert "is complete already" in capsys.readouterr().out


def test_an_archive_is_unpacked_once(packed, tmp_path, capsys, monkeypatch):
    packed("PPM-100.zip")
    monkeypatch.setattr("sdnet_pl.data.prepare.samples.estimate_foreground", None)
    with zipfile.ZipFile(tmp_path / "PPM-100.zip", "a") as archive:
        archive.writestr("PPM-100/image/bad.jpg", b"no picture")
        archive.writestr("PPM-100/matte/bad.jpg", b"no picture")
    arguments = ["prepare", "ppm100", str(tmp_path / "PPM-100.zip"), str(tmp_path / "DST"), "--workers", "1"]
    assert main(arguments) == 1
    assert capsys.readouterr().err.count("PPM-100/image/bad.jpg cannot be read") == 1
    (unpacked,) = (path for path in (tmp_path / "DST").iterdir() if path.name.startswith(".unpacked"))
    monkeypatch.setattr(zipfile.ZipFile, "extractall", None)
    assert main([*arguments, "--skip-bad"]) == 0
    assert not unpacked.exists()


@pytest.mark.parametrize("path", ["../out.png", "/tmp/out.png", "image/../../out.png", "..\\out.png"])
def test_a_zip_archive_writes_nowhere_else(tmp_path, path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("image/a.png", b"")
        archive.writestr(path, b"")
    with pytest.raises(InputError, match=r"bad\.zip holds .*, a path that leads out of it"):
        unpack(tmp_path / "bad.zip", tmp_path / "out")
    assert [item.name for item in tmp_path.iterdir()] == ["bad.zip"]


def test_a_tar_archive_writes_nowhere_else(tmp_path):
    for number, member in enumerate((tarfile.TarInfo("../out.png"), tarfile.TarInfo("link"))):
        if number:
            member.type, member.linkname = tarfile.SYMTYPE, "../../etc"
        with tarfile.open(tmp_path / "bad.tar", "w") as archive:
            archive.addfile(member, io.BytesIO())
        with pytest.raises(InputError, match=r"bad\.tar holds (a path that leads out of it|the symbolic link)"):
            unpack(tmp_path / "bad.tar", tmp_path / "out")
        assert [item.name for item in tmp_path.iterdir()] == ["bad.tar"]


def member(name: str, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("/tmp/sdnet-pl-was-here")], None),
        ([member("a/b", type=tarfile.LNKTYPE, linkname="../../etc/passwd")], "leads out"),
        ([member("a", type=tarfile.LNKTYPE, linkname="/etc/passwd")], "leads out"),
        ([member("a", type=tarfile.CHRTYPE, devmajor=1, devminor=3)], "special file"),
        ([member("a", type=tarfile.BLKTYPE)], "special file"),
        ([member("a", type=tarfile.FIFOTYPE)], "special file"),
        # One that stays inside: a later member could be written through it, which older Pythons do not see.
        ([member("in"), member("a", type=tarfile.SYMTYPE, linkname="in"), member("a/b")], "the symbolic link 'a'"),
    ],
    ids=["absolute", "link out", "absolute link", "character", "block", "fifo", "link within"],
)
def test_what_a_tar_archive_must_not_hold(tmp_path, members, said):
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        for held in members:
            archive.addfile(held, io.BytesIO())
    if said is None:  # tarfile makes it relative
        unpack(tmp_path / "bad.tar", tmp_path / "out")
        assert (tmp_path / "out/tmp/sdnet-pl-was-here").exists()
        assert not Path("/tmp/sdnet-pl-was-here").exists()
        return
    with pytest.raises(InputError, match=said):
        unpack(tmp_path / "bad.tar", tmp_path / "out")
    assert [item.name for item in tmp_path.iterdir()] == ["bad.tar"]


def test_a_link_in_a_zip_archive_is_a_file(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out/link").is_symlink()
    assert (tmp_path / "out/link").read_text() == "/etc"


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "many", "after its end", "header"])
def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("sdnet_pl.data.prepare.archive.MOST_SPARE", 0)
    written = []
    monkeypatch.setattr(tarfile.TarFile, "makefile", lambda self, member, path: written.append(member.size))
    zeros, bomb = bytes(3 * 10**6), tmp_path / ("bomb.zip" if kind == "zip" else "bomb.tar.gz")
    if kind == "zip":
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("image/a.png", zeros)
        monkeypatch.setattr(zipfile.ZipFile, "extractall", None)
    else:
        with tarfile.open(bomb, "w:gz") as archive_tar:
            for number in range({"many": 2000, "tar.gz": 1}.get(kind, 0)):
                content = zeros if kind == "tar.gz" else b""
                archive_tar.addfile(member(f"image/{number}.png", size=len(content)), io.BytesIO(content))
            if kind == "header":
                archive_tar.addfile(member("a", type=tarfile.XHDTYPE, size=len(zeros)))
                archive_tar.fileobj.write(zeros)
    if kind == "after its end":
        bomb.write_bytes(bomb.read_bytes() + gzip.compress(zeros))
    said = "it has a header of 3000000 bytes" if kind == "header" else "would unpack to more than 100 times its own"
    with pytest.raises(InputError, match=rf"(?s)bomb\..*{said}"):
        unpack(bomb, tmp_path / "out")
    assert sum(written) < 10**6
    assert [item.name for item in tmp_path.iterdir()] == [bomb.name]


def test_a_python_without_the_filter_unpacks_nothing(packed, tmp_path, monkeypatch):
    packed("PPM-100.tar")
    monkeypatch.delattr(tarfile, "FilterError")
    monkeypatch.setattr(tarfile.TarFile, "extractall", lambda self, path: None)
    with pytest.raises(InputError, match=r"PPM-100\.tar cannot be unpacked \(.*'filter'\).*give the folder"):
        unpack(tmp_path / "PPM-100.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["PPM-100.zip", "PPM-100.tar.gz"])
def test_a_damaged_archive_is_named(packed, tmp_path, capsys, name):
    packed(name)
    data = bytearray((tmp_path / name).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    (tmp_path / name).write_bytes(data)
    assert main(["prepare", "ppm100", str(tmp_path / name), str(tmp_path / "DST")]) == 2
    assert f"{name} cannot be unpacked" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "DST").iterdir()} == {".journal.jsonl"}


def test_an_archive_that_breaks_off_between_two_files_is_named(packed, tmp_path):
    """tarfile itself takes that for its end."""
    packed("PPM-100.tar")
    with tarfile.open(tmp_path / "PPM-100.tar") as archive:
        last = archive.getmembers()[-1]
    data = (tmp_path / "PPM-100.tar").read_bytes()
    (tmp_path / "PPM-100.tar").write_bytes(data[: last.offset])
    with pytest.raises(InputError, match=r"PPM-100\.tar cannot be unpacked \(it breaks off\)"):
        unpack(tmp_path / "PPM-100.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_archive_may_follow_one_that_held_something_else(packed, tmp_path, capsys):
    expected = packed("PPM-100.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", b"")
    assert main(["prepare", "ppm100", str(tmp_path / "other.zip"), str(tmp_path / "DST")]) == 2
    assert f"{tmp_path / 'other.zip'} holds none of the folders" in capsys.readouterr().err
    assert main(["prepare", "ppm100", str(tmp_path / "PPM-100.zip"), str(tmp_path / "DST"), "--workers", "1"]) == 0
    assert {p.relative_to(tmp_path / "DST").as_posix() for p in (tmp_path / "DST").rglob("*") if p.is_file()} == (
        expected | {"manifest.json"}
    )


def test_what_is_no_archive_is_named(tmp_path, capsys):
    (tmp_path / "Distinctions-646.rar").write_bytes(b"Rar!")
    assert main(["prepare", "ppm100", str(tmp_path / "Distinctions-646.rar"), str(tmp_path / "DST")]) == 2
    assert "is not a .zip or .tar archive; unpack it, and give the folder" in capsys.readouterr().err
    assert not (tmp_path / "DST").exists()
