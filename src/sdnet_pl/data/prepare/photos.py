"""Photos of people with their alphas: PPM-100, P3M-10k and AIM-500. None of them comes with checksums.

**PPM-100** (``ppm100``): Ke et al., MODNet, AAAI 2022. 100 portraits from Flickr between 1080p and 4K. A benchmark::

    PPM-100/{image,matte}/

**P3M-10k** (``p3m10k``): Li et al., Privacy-Preserving Portrait Matting, ACM MM 2021. 9,421 training portraits with
blurred faces, and two benchmarks of 500 each, with blurred and with ordinary faces::

    P3M-10k/
      train/{blurred_image,mask}/
      validation/P3M-500-P/{blurred_image,mask,trimap}/
      validation/P3M-500-NP/{original_image,mask,trimap}/

**AIM-500** (``aim500``): Li et al., Deep Automatic Natural Image Matting, IJCAI 2021. 500 pictures of every sort, a
benchmark; ``aim_category_type.json`` says which are portraits (100 by its README)::

    AIM-500/{original,mask,trimap,usr}/
    AIM-500/aim_category_type.json
"""

import json
from functools import partial
from pathlib import Path

from sdnet_pl.data.prepare.base import Dataset, Found, Names, Part, find_pairs
from sdnet_pl.errors import InputError

_CATEGORIES = "aim_category_type.json"


def find_portraits(root: Path, names: Names) -> Found:
    """The portraits of AIM-500, by a split list or by the categories that are published with it.

    Raises:
        InputError: there is neither, or the categories are not those of AIM-500.
    """
    from sdnet_pl.data.listing import walk

    files = [] if names is not None else [file for file in walk(root).files if file.name == _CATEGORIES][:1]
    if names is None and not files:
        raise InputError(
            f"{root} holds more than portraits and no {_CATEGORIES}, which says which they are; add it from the "
            "download of AIM-500, or give --split FILE."
        )
    for file in files:
        try:
            categories = json.loads(file.read_text("utf-8"))
            names = frozenset(name for name, about in categories.items() if about["category"] == "portrait")
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InputError(f"{file} does not give each picture a category; download it again.") from None
    found = find_pairs(root, names, (Part("test", "test", "image", "original", "mask", "trimap"),))
    found.lists += [file.relative_to(root).as_posix() for file in files]
    return found


PPM100 = Dataset(
    expects="PPM-100",
    writes="test/",
    homepage="https://github.com/ZHKKKe/PPM",
    licence="photos under Flickr's Creative Commons licences, alphas under CC BY-NC-SA 4.0",
    find=partial(find_pairs, parts=(Part("test", "test", "image", "image", "matte", published=100),)),
)
P3M10K = Dataset(
    expects="P3M-10k",
    writes="train/, test/P3M-500-P/ and test/P3M-500-NP/",
    homepage="https://github.com/JizhiziLi/P3M",
    licence="MIT, after agreeing to the P3M-10k Dataset Release Agreement",
    find=partial(
        find_pairs,
        parts=(
            Part("train", "train", "image", "train/blurred_image", "mask", published=9421),
            Part("test", "test/P3M-500-P", "image", "P3M-500-P/blurred_image", "mask", "trimap", 500),
            Part("test", "test/P3M-500-NP", "image", "P3M-500-NP/original_image", "mask", "trimap", 500),
        ),
    ),
)
AIM500 = Dataset(
    expects="AIM-500",
    writes="test/",
    homepage="https://github.com/JizhiziLi/AIM",
    licence="MIT, after agreeing to the AIM-500 Dataset Release Agreement",
    find=find_portraits,
    split=f"without one, {_CATEGORIES} of the download says which pictures are portraits",
)
