"""Fits in processes of their own, for what runs many of them."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def finish(run_dir: Path, arguments: Sequence[str], module: str = "sdnet_pl") -> None:
    """Runs what is left of a fit: nothing where its scores are there, else from its last checkpoint or from the start.

    Args:
        run_dir: The run's directory. One that was stopped before its first checkpoint is begun anew.
        arguments: Of `sdnet-pl fit`, without the directory.
        module: What takes the place of `python -m sdnet_pl`.

    Raises:
        subprocess.CalledProcessError: The fit failed.
    """
    if (run_dir / "metrics.csv").exists():
        return
    last = run_dir / "last.ckpt"
    if run_dir.exists() and not last.exists():
        shutil.rmtree(run_dir)
    resume = [f"--ckpt_path={last}"] if last.exists() else []
    command = [sys.executable, "-m", module, "fit", *arguments, f"--run_dir={run_dir}", *resume]
    subprocess.run(command, check=True)
