"""The folder of `sdnet-pl export` runs in transformers.js, as its users run it."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sdnet_pl
from sdnet_pl.cli import main
from tests.web.street import street_photo

WEB = Path(__file__).parents[2] / "web"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SCRIPT = """
import { env, pipeline } from "@huggingface/transformers";
env.allowRemoteModels = false;
env.localModelPath = process.argv[1];
const remove = await pipeline("background-removal", "sdnet");
const cutout = await remove(process.argv[2]);
await cutout.save(process.argv[3]);
console.log(JSON.stringify([cutout.width, cutout.height, cutout.channels]));
"""


def test_the_pipeline_removes_the_background(tmp_path: Path):
    if shutil.which("npm") is None:
        pytest.skip("there is no npm here")
    if not (WEB / "node_modules/@huggingface/transformers").is_dir():
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=WEB, check=True)
    assert main(["export", str(tmp_path / "sdnet")]) == 0
    photo = street_photo(4)
    photo.save(tmp_path / "photo.png")
    arguments = [f"{tmp_path}/", str(tmp_path / "photo.png"), str(tmp_path / "cutout.png")]
    command = ["node", "--input-type=module", "-e", SCRIPT, *arguments]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [photo.width, photo.height, 4]
    with Image.open(tmp_path / "cutout.png") as cutout:
        found = np.array(cutout)
    expected = 255 * sdnet_pl.new_session(backend="onnx").alpha(np.array(photo))
    # Another resize gives the network another picture, and transformers.js moves the alpha by half a pixel.
    assert np.abs(found[..., 3] - expected).mean() < 5
    assert np.array_equal(found[..., :3], np.array(photo))
