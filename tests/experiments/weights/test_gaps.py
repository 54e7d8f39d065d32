"""Which people stand with arms akimbo."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from experiments.weights.gaps import gap_share, main


def test_gaps_lie_between_parts_of_a_person():
    alpha = np.zeros((4, 10), np.uint8)
    assert gap_share(alpha) == 0
    alpha[1:, 2:8] = 255
    assert gap_share(alpha) == 0  # what is beside a person is no gap
    alpha[2, 4:7] = 100
    assert gap_share(alpha) == pytest.approx(3 / 18)


def test_the_list_names_those_with_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bust = cv2.ellipse(np.zeros((60, 60), np.uint8), (30, 60), (20, 40), 0, 0, 360, 255, -1)
    akimbo = cv2.circle(bust.copy(), (30, 50), 8, 0, -1)
    for name, alpha in (("bust", bust), ("team/akimbo", akimbo)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.dstack([alpha] * 4)).save(tmp_path / f"{name}.png")
    main([str(tmp_path)])
    assert capsys.readouterr().out == "team/akimbo\n"
