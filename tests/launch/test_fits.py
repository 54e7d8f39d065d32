"""Fits of a caller that was killed, and what an earlier fit has left."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest
import torch

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


def test_what_does_not_load_is_kept_beside_the_new_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """Also where that fails."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("notes.txt", "last.ckpt"):
        (run / name).write_text("mine")

    def fails(command: list[str], **options: object) -> None:
        assert not run.exists()
        assert not any(argument.startswith("--ckpt_path") for argument in command)
        raise subprocess.CalledProcessError(2, command)

    monkeypatch.setattr(fits.subprocess, "run", fails)
    with pytest.raises(subprocess.CalledProcessError):
        fits.finish(run, [])
    (kept,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert {path.name for path in kept.iterdir()} == {"notes.txt", "last.ckpt"}
    assert f"{run} holds no checkpoint that loads; it is kept as {kept.name}." in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [OSError(errno.ESTALE, "Stale file handle"), MemoryError(), RuntimeError("can't allocate memory: ...")]
)
def test_a_checkpoint_that_cannot_be_read_now_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    run = tmp_path / "run"
    run.mkdir()
    (run / "last.ckpt").touch()
    monkeypatch.setattr(torch, "load", lambda *_, **__: (_ for _ in ()).throw(error))
    monkeypatch.setattr(fits.subprocess, "run", None)
    with pytest.raises(type(error)):
        fits.finish(run, [])
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["run"]
