"""Photos that arrive in folders, found by looking again and again."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sdnet_pl.data.formats import reason_by_name
from sdnet_pl.data.listing import walk
from sdnet_pl.errors import InputError
from sdnet_pl.inference.jobs import Job

INTERVAL = 1.0
"""Seconds between two looks; a file that is the same at both has arrived."""


class Watch:
    """Remembers the photos of folders and their sub-folders; those that are there at first are no news.

    Args:
        folders: where photos arrive.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._known = self._look()

    def arrivals(self, plan: Callable[[], list[Job]]) -> Iterator[list[Job]]:
        """The jobs of photos that have arrived or changed, once they grow no more; it ends by Ctrl-C alone.

        Args:
            plan: gives the jobs of all photos. What it refuses is printed, and tried again.
        """
        print(f"sdnet-pl: waiting for photos in {', '.join(map(str, self._folders))}; Ctrl-C ends it", file=sys.stderr)
        before, refused = self._known, ""
        while True:
            time.sleep(INTERVAL)
            now = self._look()
            arrived = {photo for photo, state in now.items() if state == before.get(photo) != self._known.get(photo)}
            before = now
            if not arrived:
                continue
            try:
                jobs = plan()
            except InputError as error:
                if str(error) != refused:
                    print(f"sdnet-pl: {error}", file=sys.stderr)
                refused = str(error)
                continue
            self._known |= {photo: now[photo] for photo in arrived}
            if new := [job for job in jobs if job.photo in arrived]:
                yield new

    def _look(self) -> dict[Path, tuple[int, int]]:
        """The size and the time of change of each photo."""
        found = {}
        for folder in self._folders:
            for file in walk(folder).files:
                if reason_by_name(file) is None:
                    try:
                        about = file.stat()
                    except OSError:  # it is gone again
                        continue
                    found[file] = about.st_size, about.st_mtime_ns
        return found
