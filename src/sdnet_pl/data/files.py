"""Files beside pictures: text is UTF-8 whatever the system's own encoding, and nothing is written by halves."""

import errno
import os
import shutil
import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO
from uuid import uuid4

from sdnet_pl.errors import InputError

LOCK = ".lock"
"""The file by which :func:`only_one` holds a folder."""


@contextmanager
def atomic_write(path: str | Path, replace: bool = True) -> Iterator[Path]:
    """A path to write to, in the folder of ``path``, that takes the place of ``path`` only when the block ends well.

    The folder is made if it is missing. Whatever ends the block early, Ctrl-C too, leaves an older ``path`` as it was
    and no other file. An ``OSError`` names ``path``.

    Args:
        path: the file.
        replace: whether it takes the place of one that is there at the end; without, that one stays.

    Raises:
        FileExistsError: another process was faster, and its file is not to be replaced.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with atomic_write(Path(folder) / "table.csv") as temporary:
        ...         _ = temporary.write_bytes(b"name,MAD")
        ...     read_text(Path(folder) / "table.csv")
        'name,MAD'
    """
    path = as_file(path)
    # Hidden, so that no listing takes it for a picture; not made by tempfile, whose files only their owner may read.
    temporary = path.parent / f".{uuid4().hex}{path.suffix}"
    with naming(path, instead_of=temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if replace or not _linked(temporary, path):
                os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    """Write a file whole or not at all; when this returns it is on the disk, and a power cut leaves it there.

    Raises:
        OSError: it cannot be written; the error names ``path``.
    """
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
        to_disk(temporary)


def refuse_bare_suffix(path: Path, suffixes: Collection[str]) -> None:
    """Refuse ``.png`` as the name of a file, which Python takes for a name without a suffix.

    Args:
        path: what is to be written; a folder of that name may be there.
        suffixes: of files that are written, with their dots.

    Raises:
        InputError: it is one of them.
    """
    if path.name.lower() in suffixes and not path.is_dir():
        raise InputError(f"{path} is the end of a name alone; give a whole one, such as out{path.name}.")


def check_writable(path: Path) -> None:
    """Make the folder of a file, and refuse one in which nothing can be written before long work begins.

    Raises:
        InputError: as said, or ``path`` is a folder.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}); give a name in a folder that can be written."
        ) from error


def write_text(path: str | Path, text: str) -> None:
    r"""As :func:`write_bytes`, in UTF-8 and with ``\n`` alone.

    A byte of a file's name that is not UTF-8 is written as ``\udce9``: such a name must not end what took hours.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def read_text(path: str | Path, errors: str = "strict") -> str:
    """A text that people wrote: UTF-8, or UTF-16 as some editors and shells of Windows save it, without its BOM.

    Args:
        path: the file.
        errors: as for ``bytes.decode``, for UTF-8.

    Raises:
        InputError: it is missing, cannot be read, or is not such a text.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}); check the path, and give a text file."
        ) from None
    try:
        encoding = _encoding(content)
        text = content.decode(encoding, errors if encoding == "utf-8-sig" else "strict")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (its byte {error.start} is wrong); save it as UTF-8.") from None
    if "\0" in text:
        raise InputError(f"{path} is not text; give a text file in UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_names(path: str | Path, errors: str = "strict") -> list[str]:
    """The lines of a list of names, one a line, without empty ones; accents are composed as in the names of pictures.

    Args:
        path: the file.
        errors: as for ``bytes.decode``; ``"backslashreplace"`` gives names what :func:`as_text` makes of them.

    Raises:
        InputError: as :func:`read_text`, and for an empty list.
    """
    lines = read_text(path, errors).split("\n")
    names = [unicodedata.normalize("NFC", line.strip()) for line in lines if line.strip()]
    if not names:
        raise InputError(f"{path} is empty; give a list with one name a line.")
    return names


def to_disk(path: Path) -> None:
    """Wait until the content of a file is on its disk."""
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


@contextmanager
def only_one(folder: Path, busy: str, wait: bool = False) -> Iterator[None]:
    """Keep other processes out of a folder while the block runs; it is made if it is missing.

    On Windows, which has no such locks, all are let in.

    Args:
        folder: what is held.
        busy: what to say to another process.
        wait: whether to wait until it is free.

    Raises:
        InputError: another process holds it, and is not to be waited for.
    """
    if os.name == "nt":
        yield
        return
    made = not folder.exists()
    try:
        lock = hold(folder / LOCK, wait)
    except BlockingIOError:
        raise InputError(busy) from None
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.close()
        if made:
            with suppress(OSError):  # something was written
                folder.rmdir()


def hold(path: Path, wait: bool = False) -> BinaryIO:
    """The locked file of a path, both made if they are missing; who holds it may remove it.

    Raises:
        BlockingIOError: another process holds it, and is not to be waited for.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("ab")
        try:
            take_lock(lock, wait)
        except BaseException:
            lock.close()
            raise
        with suppress(FileNotFoundError):  # whoever held it is done, and has removed it
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        lock.close()


def take_lock(file: BinaryIO, wait: bool = False) -> None:
    """Lock an open file, until it is closed here and in the processes that inherit it.

    Raises:
        BlockingIOError: another process holds the lock, and is not to be waited for.
        InputError: on Windows, which has no such locks.
    """
    try:
        import fcntl
    except ImportError:
        raise InputError("Commands that start fits lock their folders, which Windows cannot; use WSL.") from None
    fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def as_text(name: str) -> str:
    r"""The name of a file as text that can be shown and saved: bytes that are not UTF-8 become ``\xe9``."""
    if os.name == "nt":
        return name
    try:
        content = os.fsencode(name)
    except UnicodeEncodeError:  # text already, of which the system's encoding lacks a character
        content = name.encode("utf-8", "surrogateescape")
    return content.decode("utf-8", "backslashreplace")


def require_utf8(name: str | Path) -> None:
    """For what cannot hold other names of files: configs, and the formats of networks.

    Raises:
        InputError: the name holds bytes that are not UTF-8, or that the system's encoding does not read as UTF-8.
    """
    try:
        str(name).encode()
    except UnicodeEncodeError:
        remedy = "rename it" if sys.getfilesystemencoding() == "utf-8" else "set PYTHONUTF8=1"
        raise InputError(
            f"{as_text(str(name))} is not read as UTF-8, which configs and files of weights need; {remedy}."
        ) from None


def as_file(path: str | Path) -> Path:
    """A path with names of any text, where the system's encoding lacks a character of it too: as bytes in UTF-8."""
    return Path(*map(_file_name, Path(path).parts))


def _file_name(name: str) -> str:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return os.fsdecode(name.encode("utf-8", "surrogateescape"))
    return name


@contextmanager
def naming(path: str | Path, instead_of: Path | None = None) -> Iterator[None]:
    """An ``OSError`` that names no file, as that of a full disk, or ``instead_of``, gets the name of ``path``."""
    try:
        yield
    except OSError as error:
        own = (None, instead_of, str(instead_of))
        if error.errno is not None and error.filename in own:
            raise OSError(error.errno, error.strerror, str(path)) from error
        if error.filename2 in own[1:]:
            error.filename2 = str(path)
        raise


def name_full_disk(error: OSError, places: Iterable[str | Path]) -> None:
    """An ``OSError`` of a full disk that names no file gets the name of that one of the places where least is free."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT) or error.filename is not None:
        return
    free = {}
    for place in places:
        with suppress(OSError):
            free[shutil.disk_usage(place).free] = str(place)
    if free:
        error.filename = free[min(free)]


def _linked(temporary: Path, path: Path) -> bool:
    """Give a finished file its name, which fails where another has it; false where the disk has no links."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        return False
    return True


def _encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    # Without a BOM the first character tells, where it is of ASCII, or else most of those that are: ends of lines too.
    even, odd = (content[first::2].count(0) for first in (0, 1))
    if content[1:2] == b"\0" or (content[:1] != b"\0" and odd > even):
        return "utf-16-le"
    return "utf-16-be" if content[:1] == b"\0" or even > odd else "utf-8-sig"
