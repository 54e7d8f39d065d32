"""Which gates of the attention follow the picture."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.weights.gates import main
from sdnet_pl.data.image_io import write_png
from sdnet_pl.inference.weights import Trained, write_weights
from sdnet_pl.nn import create_model
from sdnet_pl.nn.ampa import AMPA


def test_gates_that_are_shut_are_told_from_those_that_follow_the_photo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    torch.manual_seed(0)
    model = create_model("sdnet-tiny")
    for level, module in model.ampa.items():
        assert isinstance(module, AMPA)
        last = module.attention.gate[2]
        assert isinstance(last, torch.nn.Conv2d)
        assert last.bias is not None
        with torch.no_grad():
            last.weight *= 1000  # so that an untrained network's gates move at all
            if level == "3":
                last.weight[:5] = 0
                last.bias[:5] = torch.tensor([-100.0, -100, -100, 100, 100])
    write_weights(Trained("sdnet-tiny", False, {}, 64, model.state_dict(), tmp_path), tmp_path / "w.safetensors", {})
    rng = np.random.default_rng(0)
    for number in range(4):
        write_png(tmp_path / f"photos/{number}.png", rng.integers(0, 60 * (number + 1), (64, 64, 3), dtype=np.uint8))
    main([str(tmp_path / "photos"), str(tmp_path / "w.safetensors")])
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["2", "48"], ["3", "80"], ["4", "128"]]
    same, shut = (int(cell) for cell in rows[1][2:4])
    assert (same >= 5, 3 <= shut <= same - 2) == (True, True)
    assert float(rows[0][4]) > 0


def test_one_photo_is_too_few_and_a_trimap_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for number in range(2):
        write_png(tmp_path / f"{number}.png", np.full((64, 64, 3), 100 * number, np.uint8))
    for arguments, said in (
        (["sdnet-fast", "--number", "1"], "fewer than 2 photos"),
        (["sdnet-fast-trimap"], "takes a trimap"),
    ):
        with pytest.raises(SystemExit):
            main([str(tmp_path), *arguments])
        assert said in capsys.readouterr().err
    (tmp_path / "1.png").unlink()
    with pytest.raises(SystemExit):
        main([str(tmp_path), "sdnet-fast"])
    assert "fewer than 2 photos" in capsys.readouterr().err


def test_bad_input_is_said_without_a_traceback(tmp_path: Path):
    script = [sys.executable, "-m", "experiments.weights.gates", str(tmp_path / "none"), "sdnet-fast"]
    done = subprocess.run(script, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 2
    assert "none does not exist" in done.stderr
    assert "Traceback" not in done.stderr
