"""Work on the items of a stream at the same time, in order, and on few of them at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

X = TypeVar("X")
Y = TypeVar("Y")


class Workers:
    """Threads of which a limited number works at a time; used in a ``with`` block.

    Args:
        threads: how many work at a time.
        reserved: of them, those that something else runs, such as an encoder on threads of its own.
    """

    def __init__(self, threads: int, reserved: int = 0) -> None:
        self.threads = threads
        self._pool, self._reader = ThreadPoolExecutor(threads), ThreadPoolExecutor(1)
        self.working = BoundedSemaphore(threads - reserved)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._pool, self._reader):
            pool.shutdown(cancel_futures=True)

    def read(self, items: Iterator[X], ahead: int) -> Iterator[X]:
        """The items, a number of them fetched in advance by a thread."""
        end = object()
        fetched = self._in_advance(self._reader, lambda _: next(items, end), iter(int, 1), ahead)
        for item in fetched:
            if item is end:
                return
            yield item  # type: ignore[misc]

    def map(self, function: Callable[[X], Y], items: Iterable[X]) -> Iterator[Y]:
        """What a function makes of items, in their order."""
        return self._in_advance(self._pool, function, items, self.threads)

    def _in_advance(
        self, pool: ThreadPoolExecutor, function: Callable[[X], Y], items: Iterable[X], ahead: int
    ) -> Iterator[Y]:
        waiting: deque[Future[Y]] = deque()
        for item in items:
            waiting.append(pool.submit(self._work, function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _work(self, function: Callable[[X], Y], item: X) -> Y:
        with self.working:
            return function(item)
