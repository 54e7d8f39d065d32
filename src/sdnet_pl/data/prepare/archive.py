"""Archives as downloaded."""

import shutil
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Self

from sdnet_pl.data.files import naming
from sdnet_pl.errors import InputError

MOST_TIMES, MOST_SPARE = 100, 10**9
"""An archive may unpack to so many times its size, and so many bytes more; pictures hardly get smaller in one."""
_BLOCK = 4096  # bytes on the disk that an empty file takes too
_LONGEST_HEADER = 2**20  # bytes; tarfile reads a header into memory before anything can refuse its member


def is_archive(file: Path) -> bool:
    """Whether a file is a zip or a tar archive, compressed or not."""
    return zipfile.is_zipfile(file) or tarfile.is_tarfile(file)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive, wholly or not at all; nothing is done if that has happened before.

    Pictures are read from files by several processes, and a compressed tar archive can only be read from its start:
    unpacking is the one way for all archives.

    Args:
        archive: the file.
        folder: the folder to make.

    Raises:
        InputError: the archive is damaged, protected by a password, holds a symbolic link, unpacks to far more than its
            own size, or a path in it leads out of the folder.
        OSError: the disk is full or the folder cannot be written.
    """
    if folder.exists():
        return
    unfinished = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with naming(unfinished):
            _extract(archive, unfinished)
        unfinished.rename(folder)
    # Damaged archives make the modules raise nearly everything, OSError without a number too.
    except Exception as error:
        # Python 3.11 has the filter since its fourth patch; without it nothing is unpacked.
        if isinstance(error, getattr(tarfile, "FilterError", ())):
            raise InputError(f"{archive} holds a path that leads out of it ({error}); do not use it.") from None
        if isinstance(error, InputError | MemoryError) or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise InputError(
            f"{archive} cannot be unpacked ({error}); download it again, or unpack it elsewhere and give the folder."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


class _Bound:
    """Adds up what an archive unpacks to, and refuses it before too much is written."""

    def __init__(self, archive: Path) -> None:
        self.archive, self.left = archive, MOST_TIMES * archive.stat().st_size + MOST_SPARE

    def take(self, size: int) -> None:
        self.left -= size + _BLOCK
        if self.left < 0:
            raise InputError(
                f"{self.archive} would unpack to more than {MOST_TIMES} times its own size; if you trust it, unpack it "
                "elsewhere and give the folder."
            )

    def filter(self, member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
        """Of ``tarfile``: its own for data, without links that a later member could be written through."""
        self.take(member.size)
        if member.issym():
            raise InputError(
                f"{self.archive} holds the symbolic link {member.name!r}; if you trust it, unpack it elsewhere and "
                "give the folder."
            )
        return tarfile.data_filter(member, folder)


class _Member(tarfile.TarInfo):
    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if not (member.isreg() or member.isdir()) and member.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"it has a header of {member.size} bytes")
        return member


def _extract(archive: Path, folder: Path) -> None:
    bound = _Bound(archive)
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for member in packed.infolist():
                name = member.filename
                # ZipFile would bend such a path and unpack it all the same.
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name.replace("\\", "/")).parts:
                    raise InputError(f"{archive} holds {name!r}, a path that leads out of it; do not use it.")
                bound.take(member.file_size)
            packed.extractall(folder)
    else:
        with tarfile.open(archive, tarinfo=_Member) as packed_tar:
            packed_tar.extractall(folder, filter=bound.filter)
            _require_end(packed_tar, bound)


def _require_end(archive: tarfile.TarFile, bound: _Bound) -> None:
    """Refuse an archive that breaks off: tarfile takes a damaged header for the end, and checks nothing after it."""
    assert archive.fileobj
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it breaks off")
    while part := archive.fileobj.read(2**20):
        bound.take(len(part))
