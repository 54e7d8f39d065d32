"""Which samples an epoch takes and which pictures a test scores, dealt out to the processes of a run."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader, DistributedSampler

from sdnet_pl.data.batches import TrainingSample


class EpochSampler(DistributedSampler[int]):
    """Sample numbers of one epoch: epoch e takes the numbers from e · n to (e + 1) · n − 1, dealt out to the processes.

    A DistributedSampler, because Lightning then leaves the dealing to it and tells it the epoch.

    Args:
        samples_per_epoch: n, over all processes.
        rank: This process.
        world_size: How many processes there are.
        done: How many samples of the epoch this process has had already, asked whenever an epoch begins; they are left
            out. The length counts them, as Lightning does when it continues in the middle of an epoch.
    """

    def __init__(
        self, samples_per_epoch: int, rank: int = 0, world_size: int = 1, done: Callable[[], int] = int
    ) -> None:
        super().__init__(range(samples_per_epoch), num_replicas=world_size, rank=rank, shuffle=False, drop_last=True)  # type: ignore[arg-type]
        self.done = done

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * len(self.dataset)  # type: ignore[arg-type]
        return (first + i for i in islice(super().__iter__(), self.done(), None))


class EpochLoader(DataLoader[TrainingSample]):
    """Begins an epoch when its first batch is asked for.

    Lightning takes the iterator before it has restored where a run was, and tells the sampler the epoch later still.
    The processes of an ordinary loader begin to fetch at once, and a resumed run would get samples of epoch 0.
    """

    def __iter__(self) -> Any:
        yield from super().__iter__()


class EvaluationSampler(DistributedSampler[int]):
    """Every index once, dealt out to the processes; those at or beyond ``length`` are padding.

    The padding keeps the processes in step (each must run equally many forwards), and whoever receives an index >=
    ``length`` must leave it out of the metrics: with the usual sampler, which repeats indices, some images count twice.
    """

    def __init__(self, length: int, rank: int = 0, world_size: int = 1) -> None:
        padded = -(-length // world_size) * world_size
        super().__init__(range(padded), num_replicas=world_size, rank=rank, shuffle=False)  # type: ignore[arg-type]
