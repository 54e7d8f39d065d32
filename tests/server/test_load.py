"""A real server under load, and under requests that nobody would think of."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.footprint import Footprint, footprint, require_flat

pytestmark = pytest.mark.slow

CLIENTS = 8
LONG = 1200 * float(os.environ.get("SDNET_LONG", "1"))


class Server(NamedTuple):
    address: str
    process: "subprocess.Popen[str]"

    @property
    def footprint(self) -> Footprint:
        """Memory and open files."""
        return footprint(self.process.pid)


@contextmanager
def serving(*options: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "sdnet_pl", "serve", "--port", "0", "--device", "cpu", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = "http://127.0.0.1:" + process.stderr.readline().split("/api/remove")[0].rpartition(":")[2]
        try:
            yield Server(address, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def large(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((1600, 1200)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seconds", [60, pytest.param(LONG, marks=pytest.mark.long, id="20 minutes")])
def test_eight_clients_leave_memory_and_files_flat(large: bytes, capsys: pytest.CaptureFixture[str], seconds: float):
    with serving("--no-ui", "--threads", "2") as server, httpx.Client(timeout=120) as single:

        def ask(client: httpx.Client) -> float:
            begin = monotonic()
            answer = client.post(f"{server.address}/api/remove", content=large)
            assert answer.status_code == 200
            return monotonic() - begin

        def keep_asking(until: float) -> list[float]:
            with httpx.Client(timeout=120) as client:
                times = []
                while monotonic() < until:
                    times.append(ask(client))
                return times

        at_start = server.footprint.mib
        alone = np.median([ask(single) for _ in range(5)])
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(keep_asking, [monotonic() + 10] * CLIENTS))
            times, seen = [], []
            for _ in range(8):
                times += [t for own in pool.map(keep_asking, [monotonic() + seconds / 8] * CLIENTS) for t in own]
                seen.append(server.footprint)
        median, late = np.median(times) / alone, np.quantile(times, 0.95) / alone
        with capsys.disabled():
            print(
                f"\n{len(times)} requests of 1600x1200 pixels; median {median:.1f} and 95 % {late:.1f} times one "
                f"alone; {at_start:.0f} MiB at start; {require_flat(seen, 'server')}"
            )


def test_hostile_clients_do_not_stop_others(large: bytes):
    with serving("--no-ui", "--threads", "1", "--queue", "1") as server:

        def ask(content: bytes) -> int:
            answer = httpx.post(f"{server.address}/api/remove", content=content, timeout=120)
            assert answer.status_code != 503 or int(answer.headers["retry-after"]) > 0
            return answer.status_code

        with ThreadPoolExecutor(CLIENTS) as pool:
            found = set(pool.map(ask, [large, b"x", large[:3000], large] * 8))
        assert {200, 503} <= found <= {200, 400, 503}
        assert [ask(content) for content in (b"x", large)] == [400, 200]


def test_requests_that_nobody_would_think_of(tmp_path: Path):
    with serving("--no-ui", "--threads", "2", "--max-megapixels", "1") as server:
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{server.address}/openapi.json",
            "--max-examples=50",
        ]
        # A string of bytes is hardly ever a photo, and its refusal is right.
        command += ["--exclude-checks=positive_data_acceptance", "--no-color"]
        found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert found.returncode == 0, found.stdout + found.stderr
        health: Any = json.loads(httpx.get(f"{server.address}/health").text)
        assert health["status"] == "ok"
