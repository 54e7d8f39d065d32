"""Runs of an hour keep their memory and their files: `make test-long`, or a share of it with SDNET_LONG."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.footprint import Footprint, footprint, require_flat
from tests.videos import cut, make_video

pytestmark = [pytest.mark.long, pytest.mark.timeout(3 * 3600)]
ROOT = Path(__file__).parents[1]
SHARE = float(os.environ.get("SDNET_LONG", "1"))
HOUR, FRAMES = timedelta(hours=SHARE), round(5000 * SHARE)


def test_an_hour_of_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """With workers and validations, whose processes come and go, and a checkpoint each epoch."""
    seen = tmp_path / "seen"
    options = {
        "run_dir": tmp_path / "run",
        "trainer.max_epochs": 100_000,
        "trainer.max_time": f"00:{HOUR // timedelta(hours=1):02}:{HOUR.seconds // 60 % 60:02}:{HOUR.seconds % 60:02}",
        "trainer.check_val_every_n_epoch": 1,
        "data.samples_per_epoch": 200,
        "data.growing_sizes": "{}",
        "data.workers": 2,
    }
    watched = {"class_path": "tests.footprint.WriteFootprint", "init_args": {"file": str(seen)}}
    (tmp_path / "watched.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": [watched]}}))
    command = [sys.executable, "-m", "sdnet_pl", "fit", "--config=experiments/quickstart/synthetic.yaml"]
    command += [f"--config={tmp_path / 'watched.yaml'}"]
    command += [f"--{name}={value}" for name, value in options.items()]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    lines = [Footprint(*map(float, line.split())) for line in seen.read_text().splitlines()]  # type: ignore[arg-type]
    with capsys.disabled():
        print(f"\n{require_flat(lines, f'{5 * len(lines)} steps of training')}; {lines[-1].processes:.0f} processes")


def test_five_thousand_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    seen: list[Footprint] = []

    class Watched:
        frames = 0

        def alpha(self, image: np.ndarray) -> np.ndarray:
            self.frames += 1
            if self.frames % max(1, FRAMES // 50) == 0:
                seen.append(footprint(os.getpid()))
            return np.asarray(image[..., 0] / 255, np.float32)

    watched = Watched()
    cut(make_video(tmp_path / "in.mp4", FRAMES, (320, 240)), tmp_path / "out.mp4", watched, "white")
    assert watched.frames == FRAMES
    with capsys.disabled():
        print(f"\n{require_flat(seen, f'{FRAMES} frames of 320x240')}")
