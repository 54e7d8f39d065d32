"""Fits in processes of their own, for what runs many of them."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sdnet_pl.data.files import take_lock
from sdnet_pl.inference.weights import newest_checkpoint


def finish(run_dir: Path, arguments: Sequence[str], module: str = "sdnet_pl") -> None:
    """Runs what is left of a fit: nothing if it has scores, else from its newest checkpoint or from the start.

    A fit outlives a caller that is killed; a later call waits for it.

    Args:
        run_dir: The run's directory. One without a checkpoint that loads starts again; what it holds is kept beside it.
        arguments: Of `sdnet-pl fit`, without the directory.
        module: What takes the place of `python -m sdnet_pl`.

    Raises:
        subprocess.CalledProcessError: The fit failed.
        OSError, MemoryError, RuntimeError: A checkpoint cannot be read now, and may load later.
    """
    if (run_dir / "metrics.csv").exists():
        return
    run_dir.parent.mkdir(parents=True, exist_ok=True)
    lock_file = run_dir.parent / f".{run_dir.name}.lock"
    with lock_file.open("wb") as lock:
        try:
            take_lock(lock)
        except BlockingIOError:
            print(f"Waiting for the fit that is still running in {run_dir} ...", file=sys.stderr)
            take_lock(lock, wait=True)
        if not (run_dir / "metrics.csv").exists():
            newest = newest_checkpoint(run_dir)
            if run_dir.exists() and newest is None:
                aside = run_dir.with_name(f"{run_dir.name}.stopped-{int(time.time())}")
                run_dir.rename(aside)
                print(f"{run_dir} holds no checkpoint that loads; it is kept as {aside.name}.", file=sys.stderr)
            resume = [] if newest is None else [f"--ckpt_path={newest}"]
            command = [sys.executable, "-m", module, "fit", *arguments, f"--run_dir={run_dir}", *resume]
            subprocess.run(command, check=True, pass_fds=[lock.fileno()])  # which holds the lock as long as it lives
        lock_file.unlink(missing_ok=True)
