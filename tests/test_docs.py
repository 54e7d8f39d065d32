"""The blocks of every page are run in order, on small drawn pictures; the site builds without a warning.

A comment right before a block, which readers do not see, says what is not run here: ``<!-- parsed: REASON -->`` has its
command lines parsed, and ``<!-- slow -->`` is run by `make test-slow`.
"""

import configparser
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from sdnet_pl.cli import lightning, main
from sdnet_pl.cli.main import LIGHTNING_COMMANDS, _parser
from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from tests.conftest import draw_pictures
from tests.videos import make_video

ROOT = Path(__file__).parents[1]
PAGES = [
    path
    for pattern in ("*.md", "*/README.md", "docs/**/*.md")
    for path in sorted(ROOT.glob(pattern))
    if "\n```" in path.read_text()
]
BLOCK = re.compile(r"(?:^<!-- (parsed: [^\n]+|slow) -->\n)?^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = (
    "sdnet-pl",
    "make",
    "pip",
    "source",
    "git",
    "python",
    "curl",
    "docker",
    "jupyter",
    "torchrun",
    "sbatch",
    "wandb",
)


class Block(NamedTuple):
    """A fenced block of a page; ``mark`` is what the comment before it says, if there is one."""

    mark: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = [Block(*groups) for groups in BLOCK.findall(text)]
    assert len(found) == len(re.findall(r"^```(?:sh|python)$", text, re.MULTILINE))
    assert sum(bool(block.mark) for block in found) == len(re.findall(r"^<!-- (?:parsed|slow)", text, re.MULTILINE))
    return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """What the pages name: photos, pictures to train on, a run, and this repository's experiments and source."""
    root = tmp_path_factory.mktemp("desk")
    draw_pictures(root / "pictures")
    people, scenes = ProceduralPortraits(size=128), ProceduralBackgrounds(size=128)
    for folder in ("holiday", "PPM-100/matte", "MODNet", "PREPARED"):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(("photo", "holiday/beach", "holiday/hill")):
        color, alpha = people.load(number)
        opacity = alpha[..., None] / 255
        photo = opacity * color + (1 - opacity) * scenes.load(number)
        Image.fromarray(photo.round().astype(np.uint8)).save(root / f"{name}.jpg")
    Image.fromarray(alpha).save(root / "alpha.png")
    Image.fromarray(alpha).save(root / "PPM-100/matte/hill.png")
    Image.fromarray(alpha // 2).save(root / "MODNet/hill.png")
    Image.fromarray(np.select([alpha == 0, alpha == 255], [0, 255], 128).astype(np.uint8)).save(root / "trimap.png")
    make_video(root / "clip.mp4")
    for name in ("experiments", "src", "hubconf.py"):
        (root / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "experiments/quickstart/cutouts.yaml", root / "CONFIG")
    shutil.copytree(trained, root / "RUN")
    return root


@pytest.fixture
def copy_of_desk(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page starts from the same files as every other, in the working directory."""
    copy = shutil.copytree(desk, tmp_path / "desk", symlinks=True)
    monkeypatch.chdir(copy)
    monkeypatch.delenv("SDNET_DATA", raising=False)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return copy


def commands(script: str, record: Path) -> list[list[str]]:
    """The commands of a shell script, as bash understands it; none is run."""
    functions = "".join(f"{name}() {{ printf '%s\\0' {name} \"$@\" $'\\n' >&9; }}\n" for name in PROGRAMS)
    subprocess.run(["bash", "-euc", f"exec 9>{record}\n{functions}{script}"], check=True)
    return [line.split("\0")[:-1] for line in record.read_text().split("\n\0")[:-1]]


@cache
def lightning_parser(command: str) -> Any:
    """The parser of fit, validate, test or predict; building it takes a while."""
    parsers = []

    def keep(self: Any, parser: Any, arguments: Any) -> None:
        parsers.append(parser)
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightning.SDNetCLI, "parse_arguments", keep)
        with pytest.raises(SystemExit):
            lightning.run([command])
    return parsers[0]


def parse(arguments: list[str]) -> None:
    """Ends without an error if the command line of sdnet-pl takes the arguments."""
    if arguments[0] in LIGHTNING_COMMANDS:
        lightning_parser(arguments[0]).parse_args(arguments)
    else:
        _parser(arguments).parse_args(arguments)


def check(command: list[str], run: bool) -> None:
    program, *arguments = command
    if program == "sdnet-pl" and run:
        assert main(arguments) == 0
    elif program == "sdnet-pl":
        parse(arguments)
    elif program == "torchrun":
        parse(arguments[arguments.index("sdnet-pl") + 1 :])
    elif program == "sbatch":
        assert Path(arguments[0]).is_file()
        parse(["fit", *arguments[2:]])
    elif program == "python":
        assert arguments[0] == "-m"
        assert (ROOT / arguments[1].replace(".", "/")).with_suffix(".py").is_file()
    elif program == "make":
        for target in arguments:
            assert "=" in target or f"\n{target}: " in (ROOT / "Makefile").read_text()
    elif program == "pip":
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg")
        extras = [name for word in arguments for name in re.findall(r"^\.\[(.+)\]", word)]
        assert set(extras) <= set(config["options.extras_require"])


def go_through(page: Path, desk: Path, slow: bool) -> None:
    for mark, language, text in blocks(page):
        run = slow if mark == "slow" else not mark
        if language == "sh":
            for command in commands(text, desk / "commands"):
                check(command, run)
        else:
            code = compile(text, str(page), "exec")
            if run:
                exec(code, {"__name__": "__main__"})


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_blocks_of(page: Path, copy_of_desk: Path):
    go_through(page, copy_of_desk, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.mark == "slow" for block in blocks(page))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_slow_blocks_of(page: Path, copy_of_desk: Path):
    go_through(page, copy_of_desk, slow=True)


def test_promises_name_tests_that_are_there():
    page = (ROOT / "docs/concepts/promises.md").read_text()
    files = set(re.findall(r"tests/[\w/]+\.py", page))
    defined = "".join((ROOT / file).read_text() for file in files)
    for name in re.findall(r"\btest_\w+\b(?!\.py)", page):
        assert f"def {name}(" in defined, name


def test_links_reach_files():
    """Those of the site are checked by its build, but for pictures."""
    for page in [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page}: {target}"


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path):
    # Copies: Zensical follows links, and would write beside the original.
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("zensical.toml", "CHANGELOG.md", "MODEL_CARD.md"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(list((ROOT / "docs").rglob("*.md")))  # 404.html too
    for page in pages:
        assert not re.search(r'<(?:script|img|iframe)[^>]+src="https?:', page.read_text())
        assert not re.search(r'<link[^>]+rel="(?:stylesheet|preload)"[^>]+href="https?:', page.read_text())
