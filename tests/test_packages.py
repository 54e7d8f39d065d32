"""What is installed: the wheel in an environment of its own, and the ONNX file without any of this."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sdnet_pl
from sdnet_pl.data import ProceduralPortraits
from sdnet_pl.inference.pretrained import FOLDER

ROOT = Path(__file__).parents[1]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    color, _ = ProceduralPortraits(size=384).load(0)
    Image.fromarray(color).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_the_readme_runs_the_onnx_file_without_torch_and_this_package(photo: Path, tmp_path: Path):
    [block] = re.findall(r"```python\n(import numpy.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    shutil.copy(photo, tmp_path / "photo.jpg")  # Pillow goes by the content
    (tmp_path / "src").symlink_to(ROOT / "src")
    refuse = "import sys\nsys.modules |= dict.fromkeys(['torch', 'sdnet_pl', 'cv2', 'scipy'])\n"
    subprocess.run([sys.executable, "-c", refuse + block], cwd=tmp_path, check=True)
    expected = sdnet_pl.remove(Image.open(photo), only_mask=True, session=sdnet_pl.new_session(quality="fast"))
    alphas = [np.asarray(image.convert("L"), float) for image in (Image.open(tmp_path / "alpha.png"), expected)]
    assert alphas[0].max() > 200
    assert abs(alphas[0] - alphas[1]).mean() < 1


@pytest.mark.slow
def test_the_wheel_cuts_out_in_an_environment_of_its_own(photo: Path, tmp_path: Path):
    for module in ("build", "twine"):
        pytest.importorskip(module)
    source, dist = tmp_path / "source", tmp_path / "dist"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "MODEL_CARD.md"):
        shutil.copy(ROOT / name, source)
    for name in ("src", "experiments"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    # The wheel is built from the sdist; with the setuptools that is here, so that no network is needed.
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(source)]
    subprocess.run(build, cwd=tmp_path, check=True)
    [wheel], [sdist] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    assert wheel.stat().st_size <= 20e6
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)], check=True)

    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True)
    # What it depends on is borrowed; its own files come first.
    [packages] = (tmp_path / "env/lib").glob("python*/site-packages")
    (packages / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = "import sdnet_pl; print(sdnet_pl.__file__, *sdnet_pl.list_models(pretrained=True))"
    told = subprocess.check_output([python, "-c", where], cwd=tmp_path, env=environment, text=True)
    assert told.split() == [str(packages / "sdnet_pl/__init__.py"), "sdnet", "sdnet-fast"]
    shipped = {file.name for file in (packages / "sdnet_pl/weights").iterdir()}
    assert {file.name for file in FOLDER.iterdir()} - shipped == {"sdnet-trimap.safetensors"}
    assert list(packages.glob("*.dist-info/licenses/MODEL_CARD.md"))
    matte = [str(python.with_name("sdnet-pl")), "matte", str(photo), "-o", str(tmp_path / "cutout.png")]
    subprocess.run(matte, cwd=tmp_path, env=environment, check=True)
    assert np.asarray(Image.open(tmp_path / "cutout.png"))[..., 3].max() == 255


def test_the_lock_is_of_the_tested_versions():
    """Every file that `make setup` installs has a hash, but for PyTorch's; peers and formats are not part of it."""

    def pins(text: str) -> dict[str, str]:
        return {re.sub(r"[-_.]+", "-", name).lower(): v for name, v in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M)}

    text = (ROOT / "requirements.lock").read_text()
    locked, tested = pins(text), pins((ROOT / "constraints.txt").read_text())
    assert locked.items() <= tested.items()
    others = {"torch", "transformers", "tokenizers", "regex", "pillow-heif", "pillow-jxl-plugin"}
    assert tested.keys() - locked.keys() == others, "requirements.lock is older than constraints.txt: make lock"
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.search(r"==[^\n]+\n(    --hash=sha256:[0-9a-f]{64}( \\\n|$))+$", entry), entry
