"""The table of the presets holds what their files and networks have."""

import subprocess
import sys

import pytest
import torch

from sdnet_pl.cli import main
from sdnet_pl.inference.pretrained import locate
from sdnet_pl.nn import PRESETS, create_model
from sdnet_pl.reporting.complexity import gmac, measure, state_dict_size
from sdnet_pl.reporting.networks import read_networks


def test_a_preset_has_two_rows(capsys: pytest.CaptureFixture[str]):
    assert main(["info", "sdnet-tiny"]) == 0
    header, _, *rows = ([cell.strip() for cell in x.split("|")[1:-1]] for x in capsys.readouterr().out.splitlines())
    without, with_trimap = (dict(zip(header, row, strict=True)) for row in rows)
    assert (without["network"], without["trimap"]) == ("sdnet-tiny", "")
    assert (with_trimap["network"], with_trimap["trimap"]) == ("sdnet-tiny", "✓")
    parameters = sum(p.numel() for p in create_model("sdnet-tiny", trimap=True).parameters())
    assert float(with_trimap["parameters (M)"]) == pytest.approx(parameters / 1e6, rel=1e-3)
    assert float(with_trimap["GMAC at 512×512"]) > float(without["GMAC at 512×512"]) > 1


def test_nobody_waits_for_pytorch():
    code = "import sys; from sdnet_pl.cli import main; main(['info']); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "False"


def test_the_table_is_that_of_the_networks():
    rows = read_networks()
    assert [row["network"] for row in rows] == [preset for preset in PRESETS for _ in range(2)]
    for row in rows:
        measured = measure(str(row["network"]), bool(row["trimap"]))
        assert row.keys() == measured.keys()
        for key, value in measured.items():
            # The header of safetensors may become a little longer; counts are exact, but for a division.
            tolerance = 1e-4 if key.startswith("fp16") else 1e-12
            expected = pytest.approx(value, rel=tolerance) if isinstance(value, float) else value
            assert row[key] == expected, "python -m sdnet_pl.reporting.complexity writes the table anew"


def test_sizes_are_those_of_the_files(tmp_path):
    row = measure("sdnet")
    assert row["fp16 weights (MiB)"] == pytest.approx(locate("sdnet").stat().st_size / 2**20, rel=1e-3)
    assert row["GMAC at 512×512"] == pytest.approx(30.7, abs=0.05)  # MODEL_CARD.md
    state = tmp_path / "state_dict.pt"
    torch.save(create_model("sdnet").state_dict(), state)
    assert state_dict_size("sdnet") == pytest.approx(state.stat().st_size / 2**20, rel=1e-3)


def test_work_is_that_of_the_convolutions():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 1, 1))
    assert gmac(network) == pytest.approx(512 * 512 * (8 * 3 * 9 + 8) / 1e9)


def test_an_unknown_preset_is_refused(capsys: pytest.CaptureFixture[str]):
    assert main(["info", "sdnet-tiny", "modnet"]) == 2
    assert "no preset 'modnet'; the presets are sdnet, sdnet-fast, sdnet-tiny" in capsys.readouterr().err
