"""The Dockerfile's steps, without Docker."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from sdnet_pl.cli.main import _parser
from sdnet_pl.cli.serve import PORT

ROOT = Path(__file__).parents[2]


def steps(name: str) -> list[str]:
    """What follows an instruction, each time that it stands there."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{name} ")]


def copied() -> Iterator[str]:
    for step in steps("COPY"):
        yield from step.split()[:-1]


def test_it_runs_the_command_as_a_user_without_rights():
    program, *arguments = json.loads(steps("CMD")[-1])
    assert program == "sdnet-pl"
    args = _parser(arguments).parse_args(arguments)
    assert (args.command, args.host, args.port) == ("serve", "0.0.0.0", PORT)
    assert steps("EXPOSE") == [str(PORT)]
    assert f":{PORT}/health" in steps("HEALTHCHECK")[0]
    instructions = [line.split()[0] for line in (ROOT / "Dockerfile").read_text().splitlines() if line]
    assert steps("USER") == ["sdnet"]
    assert "RUN" not in instructions[instructions.index("USER") :]


def test_what_it_copies_is_there_and_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for name in copied():
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored


@pytest.mark.slow
def test_its_steps_install_a_server_that_answers(tmp_path: Path):
    for name in copied():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    venv.create(tmp_path / "venv", with_pip=True)
    site = next((tmp_path / "venv/lib").glob("python*/site-packages"))
    # The dependencies that are here count as installed: the image's are the same pins.
    installed = [sysconfig.get_path("purelib"), *(path for path in sys.path if path.endswith("site-packages"))]
    (site / "here.pth").write_text("\n".join(dict.fromkeys(installed)))
    environment = {**os.environ, "PATH": f"{tmp_path / 'venv/bin'}{os.pathsep}{os.environ['PATH']}", "TORCH_INDEX": ""}
    environment.pop("PYTHONPATH", None)
    for step in steps("RUN"):
        if not step.startswith("useradd"):
            subprocess.run(step, shell=True, check=True, cwd=tmp_path, env=environment)
    _, *arguments = json.loads(steps("CMD")[-1])
    command_line = [tmp_path / "venv/bin/sdnet-pl", *arguments, "--port", "0"]
    (tmp_path / "home").mkdir()
    with subprocess.Popen(
        command_line, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path / "home"
    ) as server:
        assert server.stderr is not None
        port = server.stderr.readline().split("/api/remove")[0].rpartition(":")[2]
        with urlopen(f"http://127.0.0.1:{port}/health") as answer:
            assert json.load(answer)["status"] == "ok"
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=60)
    assert server.returncode == 0
