"""Text in any system's encoding, and files that are written whole or not at all."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sdnet_pl.data.files import (
    as_file,
    as_text,
    atomic_write,
    name_full_disk,
    naming,
    read_names,
    read_text,
    write_bytes,
    write_text,
)
from sdnet_pl.data.written import write_picture
from sdnet_pl.errors import InputError

NOT_UTF8 = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_text_is_read_however_an_editor_saved_it(tmp_path: Path, encoding: str):
    file = tmp_path / "names.txt"
    file.write_bytes("Łukasz\r\nÅsa\rZoe\u0308\n\n".encode(encoding))
    assert read_names(file) == ["Łukasz", "Åsa", "Zoë"]
    file.write_bytes("Anna\n一Āโ\n".encode(encoding))
    assert read_names(file) == ["Anna", "一Āโ"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"caf\xe9", r"not UTF-8 text \(its byte 3"),
        (b"a\0b\0c\0\0\0", "is not text"),
    ],
)
def test_what_is_no_text_is_refused_in_a_sentence(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_text(tmp_path / "x")
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path / "missing")


def test_a_name_that_is_no_utf8_is_shown_and_written_and_found(tmp_path: Path):
    assert as_text(NOT_UTF8) == r"caf\xe9"
    write_text(tmp_path / "table.csv", f"Łukasz ≥ {NOT_UTF8}\n")
    assert (tmp_path / "table.csv").read_bytes() == "Łukasz ≥ caf\\udce9\n".encode()
    (tmp_path / "names.txt").write_bytes(b"caf\xe9\n")
    assert read_names(tmp_path / "names.txt", "backslashreplace") == [as_text(NOT_UTF8)]


def test_a_full_disk_is_named(tmp_path: Path):
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*table\.csv'$"),
        atomic_write(tmp_path / "table.csv"),
    ):
        raise full
    with pytest.raises(OSError, match=r"No space .*: '/dev/full'"), naming("/dev/full"):
        Path("/dev/full").write_bytes(b"x")

    def copied(temporary: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/a/source", None, temporary)

    with pytest.raises(OSError, match=r"'/a/source' -> .*b\.png'"), atomic_write(tmp_path / "b.png") as temporary:
        copied(temporary)
    with pytest.raises(OSError, match="other"), atomic_write(tmp_path / "c.png"):  # what is named keeps its name
        raise OSError(errno.ENOENT, "No such file", "other")
    assert not list(tmp_path.iterdir())


def test_what_is_written_is_on_the_disk_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    order: list[str] = []

    def noted(name: str, real: Callable[..., None], *arguments: Any) -> None:
        order.append(name)
        real(*arguments)

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, partial(noted, name, getattr(os, name)))
    write_bytes(tmp_path / "a", b"x")
    write_text(tmp_path / "b", "x")
    write_picture(tmp_path / "c.png", np.zeros((2, 2, 3), np.uint8))
    assert order == ["fsync", "replace"] * 3


def test_names_under_a_system_of_another_encoding(tmp_path: Path):
    """As text in UTF-8, and as the same file, where Python speaks ASCII with the system."""
    (tmp_path / "Łukasz.png").touch()
    code = (
        "import os, sys; from pathlib import Path; from sdnet_pl.data.files import as_file, as_text, write_text\n"
        "assert sys.getfilesystemencoding() == 'ascii'\n"
        "(name,) = os.listdir(sys.argv[1])\n"
        "assert as_text(name) == '\\u0141ukasz.png', ascii(as_text(name))\n"
        "assert as_file(Path(sys.argv[1]) / '\\u0141ukasz.png').exists()\n"
        "assert as_file(name) == Path(name)\n"
        "write_text(Path(sys.argv[1]) / 'Zo\\u00eb' / '\\u0141.txt', '\\u0141')\n"
    )
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=ascii_only)
    assert (tmp_path / "Zoë" / "Ł.txt").read_text("utf-8") == "Ł"
    assert as_file("a/b.png") == Path("a/b.png")


def test_the_full_one_of_several_disks_is_named(monkeypatch: pytest.MonkeyPatch):
    free = {"runs": 10**9, "/tmp": 0}
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=free[place]))
    error = OSError(errno.ENOSPC, "No space left on device")
    name_full_disk(error, ["runs", "/tmp"])
    assert str(error) == "[Errno 28] No space left on device: '/tmp'"
    name_full_disk(error, ["runs"])  # what is named keeps its name
    assert error.filename == "/tmp"
    other = OSError(errno.EIO, "Input/output error")
    name_full_disk(other, ["runs"])
    assert other.filename is None
