"""What the API and the page share: networks that stay loaded, a queue, and counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import NamedTuple

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from sdnet_pl.data.decoding import PackedPicture
from sdnet_pl.errors import InputError
from sdnet_pl.inference.pretrained import DEFAULT, pretrained_weights
from sdnet_pl.inference.removal import Session
from sdnet_pl.server.limits import BusyError, GoneError, Queue, check_photo


class Settings(NamedTuple):
    """How a server works.

    Attributes:
        weights: of requests that name none; a name that ships, or a file.
        size: longer side in pixels at which the network sees a photo; by default what its weights record.
        device: such as ``cpu`` or ``cuda:1``; by default the GPU where there is one.
        backend: ``onnx`` or ``torch``; by default ONNX Runtime on a CPU where the weights exist as ONNX.
        quality: ``fast`` or ``best``.
        threads: photos at a time, each by one thread.
        queue: photos that may wait besides.
        max_megapixels: of a photo.
    """

    weights: str | Path = DEFAULT
    size: int | None = None
    device: str | None = None
    backend: str | None = None
    quality: str = "fast"
    threads: int = 1
    queue: int = 16
    max_megapixels: float = 50


class Service:
    """Loads a network and serves photos with it.

    Args:
        settings: how.

    Attributes:
        settings: as given.
        model: the name of the weights; of a file, without its folder.
        models: the names that a request may give.
        queue: of photos.
        registry: counts for Prometheus.

    Raises:
        InputError: a setting is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.threads < 1 or settings.queue < 0:
            raise InputError(
                f"threads is {settings.threads} and queue {settings.queue}; give at least 1 thread and a queue of 0 or "
                "more."
            )
        if not settings.max_megapixels > 0:
            raise InputError(f"max-megapixels is {settings.max_megapixels:g}; give more than 0.")
        self.settings = settings
        ships = [name for name in pretrained_weights() if not name.endswith("-trimap")]
        self.model = str(settings.weights) if settings.weights in ships else Path(settings.weights).stem
        self.models = [self.model, *(name for name in ships if name != self.model)]
        self.queue = Queue(settings.threads, settings.queue)
        self._loading, self._sessions = Lock(), {self.model: self._load(settings.weights)}
        self._sessions[self.model].alpha(np.zeros((64, 64, 3), np.uint8))  # which may refuse, and the next is faster
        self._count()

    def _load(self, weights: str | Path) -> Session:
        wanted = self.settings
        backend = wanted.backend if weights == wanted.weights else None  # others may not exist for it
        size = wanted.size if weights == wanted.weights else None
        return Session(weights, wanted.device, backend, size, wanted.quality, threads=1)

    def _count(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._photos = Counter(
            "sdnet_photos", "Photos and videos by what became of them", ["outcome"], registry=self.registry
        )
        self._seconds = Histogram("sdnet_seconds", "Seconds from place to answer", registry=self.registry)
        taken = Gauge("sdnet_queue_taken", "Places taken, of those at work and those that wait", registry=self.registry)
        taken.set_function(lambda: self.queue.taken)
        for outcome in ("done", "refused", "busy", "failed", "gone"):
            self._photos.labels(outcome)

    def session(self, name: str) -> Session:
        """The network of a name of ``models``; it is loaded when it is first asked for, and stays.

        Raises:
            InputError: there is no such name.
        """
        if name not in self.models:
            raise InputError(f"model {name!r} is not served; give {' or '.join(self.models)}.")
        if name not in self._sessions:
            with self._loading:
                if name not in self._sessions:
                    try:
                        self._sessions[name] = self._load(name)
                    except InputError as error:  # of the installation, which a visitor cannot mend
                        raise RuntimeError(f"{name} cannot be loaded") from error
        return self._sessions[name]

    def check_photo(self, photo: bytes) -> None:
        """Refuse a file that may not be decoded here, by its header.

        Raises:
            InputError: it may not, or is no picture.
        """
        check_photo(PackedPicture(photo, "The picture"), self.settings.max_megapixels)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place of the queue, and count what becomes of it.

        Raises:
            BusyError: none is free.
        """
        begin, outcome = perf_counter(), "gone"  # also where the request is cancelled
        try:
            with self.queue.place():
                yield
            outcome = "done"
        except BusyError:
            outcome = "busy"
            raise
        except GoneError:
            raise
        except (InputError, TimeoutError):
            outcome = "refused"
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            self._photos.labels(outcome).inc()
            if outcome == "done":
                self._seconds.observe(perf_counter() - begin)
