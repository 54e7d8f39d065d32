"""Archives as downloaded."""

import shutil
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from sdnet_pl.data.files import naming
from sdnet_pl.errors import InputError


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
        InputError: the archive is damaged, protected by a password, or a path in it leads out of the folder.
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


def _extract(archive: Path, folder: Path) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for name in packed.namelist():
                # ZipFile would bend such a path and unpack it all the same.
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name.replace("\\", "/")).parts:
                    raise InputError(f"{archive} holds {name!r}, a path that leads out of it; do not use it.")
            packed.extractall(folder)
    else:
        with tarfile.open(archive) as packed_tar:
            packed_tar.extractall(folder, filter="data")
            _require_end(packed_tar)


def _require_end(archive: tarfile.TarFile) -> None:
    """Refuse an archive that breaks off: tarfile takes a damaged header for the end, and checks nothing after it."""
    assert archive.fileobj
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it breaks off")
    while archive.fileobj.read(2**20):
        pass
