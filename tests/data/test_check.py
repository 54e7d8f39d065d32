"""The check before a long job: which alphas are odd, which pictures are named, and what the second start asks."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from sdnet_pl.data import check
from sdnet_pl.data.alpha_values import inverted_to, judge, oddity
from sdnet_pl.data.benchmarks import AlphaBenchmark, CompositeBenchmark, PhotoBenchmark
from sdnet_pl.data.check import Checked, check_pictures
from sdnet_pl.data.sources.base import PictureFile, Role
from sdnet_pl.data.sources.folders import BackgroundFolder, CutoutFolder, MaskFolder, PairFolder
from sdnet_pl.data.sources.procedural import ProceduralPortraits
from sdnet_pl.errors import InputError


def person(height: int = 120, width: int = 100, scale: float = 1.0) -> np.ndarray:
    """Somebody in the middle whom the lower edge cuts, with soft edges."""
    alpha = np.zeros((height, width), np.uint8)
    axes = round(0.3 * scale * width), round(0.6 * scale * height)
    cv2.ellipse(alpha, (width // 2, height), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(alpha, (7, 7), 0), np.uint8)


def binary(alpha: np.ndarray) -> np.ndarray:
    return np.where(alpha < 128, np.uint8(0), np.uint8(255))


def far_away(alpha: np.ndarray) -> np.ndarray:
    """Near a corner of a picture three times as wide."""
    canvas = np.zeros((300, 400), np.uint8)
    canvas[190:290, 10:90] = cv2.resize(alpha, (80, 100), interpolation=cv2.INTER_AREA)
    return canvas


def banded(alpha: np.ndarray) -> np.ndarray:
    edge = cv2.dilate(alpha, np.ones((9, 9))) != cv2.erode(alpha, np.ones((9, 9)))
    return np.where(edge, np.uint8(128), binary(alpha))


def photo(alpha: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 256, (12, 10), np.uint8), (100, 120), interpolation=cv2.INTER_CUBIC)


WRONG: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "0 and 1": (lambda a: np.asarray(a > 127, np.uint8), "ones"),
    "nowhere quite opaque": (lambda a: np.asarray(a * 0.9, np.uint8), "faint"),
    "range of video": (lambda a: np.asarray(16 + a * (219 / 255), np.uint8), "video"),
    "range of video, hard": (lambda a: np.where(a < 128, np.uint8(16), np.uint8(235)), "video"),
    "percent": (lambda a: np.asarray(a * (100 / 255), np.uint8), "faint"),
    "inverted": (lambda a: 255 - a, "inverted"),
    "inverted mask": (lambda a: 255 - binary(a), "inverted"),
    "inverted, far away": (lambda a: 255 - far_away(a), "inverted"),
    "zero": (lambda a: 0 * a, "empty"),
    "opaque": (lambda a: np.full_like(a, 255), "full"),
    "half opaque": (lambda a: np.full_like(a, 128), "full"),
    "trimap": (banded, "trimap"),
    "photo": (photo, "grey"),
}
RIGHT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "soft": lambda a: a,
    "up to 254": lambda a: np.minimum(a, 254),
    "few levels": lambda a: np.asarray(a // 16 * 17, np.uint8),
    "background of 1 to 3": lambda a: np.maximum(a, np.random.default_rng(0).integers(1, 4, a.shape, np.uint8)),
    "far away": far_away,
    "close up": lambda a: np.asarray(cv2.resize(a[60:, 30:70], (100, 120)), np.uint8),
    "a veil": lambda a: np.asarray(a * np.linspace(0.3, 1, len(a))[:, None], np.uint8),
    "lossy": lambda a: np.clip(a, 3, 250),
    "two people": lambda a: np.hstack([a, a]),
    "a face with a corner free": lambda a: np.pad(np.full((100, 80), 255, np.uint8), ((20, 0), (20, 0))),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("scale", [0.6, 1.0])
def test_odd_alphas_are_told(name: str, scale: float):
    spoil, kind = WRONG[name]
    assert oddity(spoil(person(scale=scale))) == kind


@pytest.mark.parametrize("name", RIGHT)
def test_right_alphas_are_not_odd(name: str):
    assert oddity(RIGHT[name](person())) in (None, "binary")


def test_people_of_every_kind_are_not_odd():
    people = ProceduralPortraits(size=96)
    assert {oddity(people.load(index).alpha) for index in range(24)} == {None}
    assert {oddity(255 - people.load(index).alpha) for index in range(24)} == {"inverted"}


def test_a_mask_is_legal():
    assert oddity(binary(person())) == "binary"


@pytest.mark.parametrize(
    ("kinds", "refused"),
    [
        (["inverted"], True),
        (["ones"], True),
        (["faint"], False),
        (["empty"], False),  # nobody in it: right for a photo without people
        (["full", "full"], False),  # two that somebody fills
        (["full", "full", "full"], True),
        (["empty", "empty", "empty", None], True),
        (["inverted", "inverted", None, None], False),
        (["inverted", "inverted", "ones", None, None], True),
        (["binary"] * 9, False),
        (["grey", None, None], False),
    ],
)
def test_a_folder_most_of_whose_alphas_are_odd_is_refused(kinds: list[str | None], refused: bool):
    named, reasons = judge({"alphas": {Path(f"alphas/{i}.png"): kind for i, kind in enumerate(kinds)}})
    assert bool(reasons) == refused
    assert bool(named) != refused
    (sentence, *_) = named + reasons
    if kinds[0] != "binary":
        assert "0.png" in sentence


def test_an_inverted_prediction_is_told_by_the_true_alpha():
    alpha = person()
    assert inverted_to(255 - alpha, alpha)
    assert not inverted_to(alpha, alpha)
    assert not inverted_to(np.zeros_like(alpha), alpha)
    assert not inverted_to(np.full_like(alpha, 128), alpha)
    assert not inverted_to(np.full_like(alpha, 255), far_away(alpha)[:120, :100])  # nobody to tell by
    assert not inverted_to(np.full((300, 400), 255, np.uint8), far_away(alpha))  # wrong, and not inverted
    assert inverted_to(255 - far_away(alpha), far_away(alpha))


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of(path: Path, role: Role = "alpha") -> PictureFile:
    return PictureFile(path, role, str(path.parent))


def test_every_bad_picture_is_named_at_once(cutout_root: Path):
    bad = [cutout_root / "cutouts/train/01.png", cutout_root / "backgrounds/train/02.jpg"]
    for file in bad:
        truncate(file)
    sources: list[Any] = [
        CutoutFolder(f"{cutout_root}/cutouts/train"),
        BackgroundFolder(f"{cutout_root}/backgrounds/train"),
    ]
    mask = cutout_root / "natural/train/mask/03.png"
    save(mask, np.asarray(Image.open(mask)) // 2)
    (cutout_root / "natural/train/image/04.png").write_bytes(b"")
    sources.append(MaskFolder(f"{cutout_root}/natural/train"))
    files = [file for source in sources for file in source.picture_files()]
    found = check_pictures(files, progress=False)
    assert found.total == len(files) == 6 + 4 + 12
    with pytest.raises(InputError) as error:
        found.require_good("do without")
    for file in (*bad, mask, cutout_root / "natural/train/image/04.png"):
        assert str(file) in str(error.value)
    assert str(error.value).startswith("4 of 22 pictures cannot be used; see below, or do without.\n")
    assert len(str(error.value).splitlines()) == 5


def test_one_bad_picture_is_one_sentence(tmp_path: Path):
    truncate(save(tmp_path / "a.png", person()))
    with pytest.raises(InputError, match=r"a\.png cannot be read .*; or do without\.$") as error:
        check_pictures([of(tmp_path / "a.png")], progress=False).require_good("do without")
    assert "\n" not in str(error.value)


def test_odd_alphas_have_a_remedy_of_their_own(tmp_path: Path):
    """Without the check they are used as they are, where a file that does not decode is left out."""
    odd, broken = save(tmp_path / "odd/a.png", 255 - person()), save(tmp_path / "broken/a.png", person())
    truncate(broken)
    with pytest.raises(InputError, match=r"as if inverted.*; or use them\.$"):
        check_pictures([of(odd)], progress=False).require_good("leave them out", "use them")
    with pytest.raises(InputError, match=r"cannot be read .*; or leave them out\.$"):
        check_pictures([of(broken)], progress=False).require_good("leave them out", "use them")
    with pytest.raises(InputError) as error:
        check_pictures([of(odd), of(broken)], progress=False).require_good("leave them out", "use them")
    first, second, third, fourth = str(error.value).splitlines()
    assert first == "1 of 2 pictures cannot be used; see below, or leave them out."
    assert second.startswith(f"{broken} cannot be read")
    assert third == "Odd alphas are refused; see below, or use them."
    assert fourth.startswith("1 of 1 alphas")


def test_pictures_found_good_are_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files = [of(save(tmp_path / f"{i}.png", person())) for i in range(4)]
    save(tmp_path / "3.png", 255 - person())
    seen: list[Path] = []
    inspect = check._inspect

    def recording(file: PictureFile) -> str | InputError:
        seen.append(file.path)
        return inspect(file)

    monkeypatch.setattr(check, "_inspect", recording)
    first = check_pictures(files, progress=False)
    assert len(seen) == 4
    assert first.odd[str(tmp_path)][tmp_path / "3.png"] == "inverted"
    seen.clear()
    assert check_pictures(files, progress=False) == first
    assert seen == []
    # In another role it is read otherwise; a picture that changes, in size or in time, is read again.
    check_pictures([of(tmp_path / "0.png", "mask")], progress=False)
    assert seen == [tmp_path / "0.png"]
    save(tmp_path / "1.png", person(60, 50))
    os.utime(tmp_path / "2.png", (1, 1))
    (tmp_path / "0.png").unlink()
    seen.clear()
    with pytest.raises(InputError, match=r"0\.png does not exist"):
        check_pictures(files, progress=False).require_good("do without")
    assert sorted(seen) == [tmp_path / f"{i}.png" for i in range(3)]


def test_a_bad_picture_is_asked_for_again(tmp_path: Path):
    """What made it bad may be mended without a trace in the file: a right, a disk, a library."""
    truncate(save(tmp_path / "a.png", person()))
    for _ in range(2):
        assert len(check_pictures([of(tmp_path / "a.png")], progress=False).unusable) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 1, "pictures": {"alpha a.png": 3}}'])
def test_a_damaged_note_is_none(tmp_path: Path, cache_folder: Path, content: str):
    file = of(save(tmp_path / "a.png", person()))
    check_pictures([file], progress=False)
    newest = max((cache_folder / "sdnet_pl/checked").iterdir(), key=os.path.getmtime)
    newest.write_text(content)
    assert check_pictures([file], progress=False) == Checked(1, [], {str(tmp_path): {file.path: None}})


def test_without_a_cache_folder_everything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    file = of(save(tmp_path / "a.png", person()))
    assert check_pictures([file], progress=False).unusable == []


def test_every_file_of_sources_and_benchmarks_is_listed(cutout_root: Path, tmp_path: Path):
    for name in ("a", "b"):
        for kind in ("fg", "image", "alpha", "trimap"):
            save(tmp_path / kind / f"{name}.png", person())
    people, scenes = CutoutFolder(f"{cutout_root}/cutouts/val"), BackgroundFolder(f"{cutout_root}/backgrounds/val")
    photos = MaskFolder(f"{cutout_root}/natural/val")

    def roles(source: Any) -> dict[str, int]:
        files = source.picture_files()
        assert all(file.path.is_file() and file.path.is_relative_to(file.folder) for file in files)
        return {role: sum(file.role == role for file in files) for role in {file.role for file in files}}

    assert roles(PairFolder(str(tmp_path))) == {"picture": 2, "alpha": 2}
    assert roles(CompositeBenchmark(people, scenes)) == {"cutout": 3, "picture": 4}
    assert roles(PhotoBenchmark(photos)) == {"picture": 3, "mask": 3}
    assert roles(AlphaBenchmark(str(tmp_path))) == {"picture": 2, "alpha": 2, "trimap": 2}
    assert roles(ProceduralPortraits()) == {}


@pytest.mark.parametrize(
    ("role", "pixels", "said"),
    [
        ("mask", np.eye(9, dtype=np.uint8), "holds 1 where a mask is white; save it with 0 and 255"),
        ("mask", person(), "holds greys, and a mask is black and white"),
        ("trimap", np.full((9, 9), 127, np.uint8), "holds 127; a trimap's codes are 0"),
        ("cutout", person(), "has no alpha channel"),
        ("alpha", np.zeros((9, 9, 3), np.uint8), "3 channels"),
    ],
)
def test_a_picture_is_read_as_what_it_is(tmp_path: Path, role: Role, pixels: np.ndarray, said: str):
    (reason,) = check_pictures([of(save(tmp_path / "a.png", pixels), role)], progress=False).unusable
    assert said in reason


def test_eight_bits_in_a_file_of_sixteen_are_told(tmp_path: Path):
    for name, factor in (("a", 1), ("b", 257)):
        save(tmp_path / name / "x.png", person().astype(np.uint16) * factor)
    assert "8 bits in a file of 16" in judge(check_pictures([of(tmp_path / "a/x.png")], progress=False).odd)[1][0]
    assert check_pictures([of(tmp_path / "b/x.png")], progress=False).odd[str(tmp_path / "b")].popitem()[1] is None
