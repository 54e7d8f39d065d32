"""Datasets whose errors name the sample, even where a loader process dies and can say nothing."""

import os
import re
from typing import Any

import torch
from torch.utils.data import Dataset, get_worker_info

from sdnet_pl.errors import InputError


class Watched(Dataset[Any]):
    """Another dataset, and what each loader process is at.

    Args:
        dataset: By index.
        name: What to call a sample, with ``{}`` for its index.
        workers: How many loader processes there are.
    """

    def __init__(self, dataset: Dataset[Any], name: str, workers: int) -> None:
        self.dataset, self.name = dataset, name
        # The id and the sample of each process, in memory that all of them share.
        self.at = torch.zeros(workers, 2, dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        """A sample; an error that does not name a file gets a note of the sample."""
        worker = get_worker_info()
        if worker is not None:
            self.at[worker.id] = torch.tensor((os.getpid(), index))
        try:
            return self.dataset[index]
        except InputError:
            raise
        except Exception as error:
            error.add_note(f"It was {self.name.format(index)}.")
            raise

    def lost(self, error: RuntimeError) -> str | None:
        """The sample of a loader process that ended without an error of its own.

        Args:
            error: What PyTorch raises then: it names the process.
        """
        found = re.search(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)", str(error))
        processes = list(map(int, found[1].split(","))) if found else []
        samples = [self.name.format(index) for process, index in self.at.tolist() if process in processes]
        return " and ".join(samples) or None
