"""Fits of a caller that was killed."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from sdnet_pl.launch import fits

KILLED = """
import os, signal, subprocess, sys
from pathlib import Path
from typing import TextIO
from sdnet_pl.launch import fits

FIT = "import sys; open(sys.argv[2]).read(); open(sys.argv[1] + '/metrics.csv', 'w')"

def killed(command, pass_fds, **options):
    os.mkdir(sys.argv[1])
    subprocess.Popen([sys.executable, "-c", FIT, *sys.argv[1:]], pass_fds=pass_fds)
    os.kill(os.getpid(), signal.SIGKILL)

fits.subprocess.run = killed
fits.finish(Path(sys.argv[1]), [])
"""


def test_a_fit_that_outlives_its_caller_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """And no second one begins in its directory."""
    run, gate, flock = tmp_path / "run", tmp_path / "gate", fcntl.flock
    os.mkfifo(gate)
    command = [sys.executable, "-c", KILLED, str(run), str(gate)]
    assert subprocess.run(command).returncode == -signal.SIGKILL

    def waiting(file: TextIO, operation: int) -> None:
        if not operation & fcntl.LOCK_NB:
            gate.write_text("end")  # the fit of the first caller ends now
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", waiting)
    monkeypatch.setattr(fits.subprocess, "run", None)
    fits.finish(run, [])
    assert (run / "metrics.csv").exists()
    assert f"Waiting for the fit that is still running in {run}" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"run", "gate"}
