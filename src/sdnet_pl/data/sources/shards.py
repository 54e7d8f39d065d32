"""Shards as sources: prepared pictures packed into litdata's files, on a disk or in object storage.

Training draws pictures at random, each by its number, and so do these sources: an order by shards would mix pictures
less, and could neither be shared among any number of processes nor resumed mid-epoch. It costs this:

* In a folder, on a network's disk too, a picture is a part of a file that is mapped into memory: nothing is copied or
  read ahead to the shard's end, and there are no directories of millions of files.
* From object storage (``s3://``, ``gs://``, ``r2://``; of others litdata may fetch whole shards), every picture is
  fetched when it is drawn, by two requests for a range of bytes. Nothing but the index is kept on the local disk,
  so a set may be of any size; but an epoch fetches every picture that it draws again. Loader processes hide the
  requests' delay: set ``data.workers`` by it. Where a disk can hold the set, copy it there.
"""

import hashlib
import os
from pathlib import Path
from types import ModuleType

from sdnet_pl.data.image_io import PackedPicture, read_alpha, read_rgb
from sdnet_pl.data.sources.base import BackgroundSource, Foreground, ForegroundSource, Image, Item, Source
from sdnet_pl.errors import InputError

PAIR = ("fg", "alpha")
BACKGROUND = ("image",)


def import_litdata() -> ModuleType:
    """The library that reads and writes shards, imported where it is used: it is an extra.

    Raises:
        InputError: it is not installed.
    """
    # Reading ahead to the end of a shard, as it does for pictures in their order, is wasted on random ones.
    os.environ.setdefault("LITDATA_POSIX_WILLNEED", "0")
    try:
        import litdata
    except ImportError as error:
        raise InputError(f"Shards need litdata ({error}); install it with: pip install 'sdnet_pl[shards]'.") from error
    return litdata


class _ShardSource(Source[Item]):
    """The pictures of a folder of shards by their numbers, which wrap around.

    Attributes:
        roles: the files of a picture, in their order.
    """

    roles: tuple[str, ...]

    def __init__(self, path: str) -> None:
        self.path, self.process = path, os.getpid()
        if "://" not in path and not (Path(path) / "index.json").is_file():
            raise InputError(f"{path} holds no index.json; give a folder that `sdnet-pl prepare --shards` has written.")
        litdata = import_litdata()
        try:
            # batch_decode: of one picture, and not of the 256 around it.
            self.items = litdata.StreamingDataset(path, batch_decode=0)
            held = self.items[0].keys()
        # Each kind of storage raises errors of its own.
        except Exception as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"The shards in {path} cannot be read ({reason}); check the path and access to it."
            ) from error
        # The dataset's own length is the share of one of the processes that train.
        self.length = len(self.items.cache)
        if not held >= set(self.roles):
            raise InputError(
                f"The shards in {path} hold {', '.join(sorted(held))}, and {', '.join(self.roles)} are needed; "
                "PairShards reads people, BackgroundShards pictures without."
            )

    def __len__(self) -> int:
        return self.length

    def fingerprint(self, index: int) -> str:
        """That of the same picture in a folder."""
        sums = [hashlib.sha256(file.getvalue()).hexdigest() for file in self._files_of(index)]
        return hashlib.sha256("".join(sums).encode()).hexdigest() if sums[1:] else sums[0]

    def _files_of(self, index: int) -> list[PackedPicture]:
        if self.process != os.getpid():
            # A loader process that was forked shares neither connections nor open files.
            self.items.cache, self.process = None, os.getpid()
        number = int(index) % self.length
        try:
            item = self.items[number]
        except Exception as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"Picture {number} of the shards in {self.path} cannot be read ({reason}); check access to them, and a "
                "local set with `sdnet-pl prepare --verify`."
            ) from error
        return [
            PackedPicture(item[role], f"{role} of {item.get('name', number)!r} in {self.path}") for role in self.roles
        ]


class PairShards(_ShardSource[Foreground], ForegroundSource):
    """Foregrounds with their alphas from shards: the pictures of ``PairFolder(extended=True)``, in its order.

    Args:
        path: the folder that holds ``index.json``, as ``sdnet-pl prepare --shards`` writes it (``DST/train``), or the
            URL of its copy in object storage.

    Raises:
        InputError: there is no index, it is of other pictures, or litdata is not installed. A picture that does not
            decode is found by :meth:`load`.
    """

    roles = PAIR

    def load(self, index: int) -> Foreground:
        """The pair number ``index`` >= 0; its colours were extended when it was prepared."""
        foreground, alpha = self._files_of(index)
        return Foreground(read_rgb(foreground), read_alpha(alpha))


class BackgroundShards(_ShardSource[Image], BackgroundSource):
    """Pictures without people from shards: those of ``BackgroundFolder``.

    Args:
        path: as in :class:`PairShards`, such as ``DST/train2017``.

    Raises:
        InputError: likewise.
    """

    roles = BACKGROUND

    def load(self, index: int) -> Image:
        """The background number ``index`` >= 0: uint8 ``[H, W, 3]``, RGB."""
        return read_rgb(*self._files_of(index))
