"""People cut out, to be composited: Adobe Image Matting, Distinctions-646, and folders of one's own.

**Adobe Image Matting** (``adobe``): Xu et al., Deep Image Matting, CVPR 2017. 431 training objects of every sort, as
its README counts, and the 50 test objects of Composition-1k. SDNet trains on 78 people of it and tests on 22::

    Combined_Dataset/
      Training_set/Adobe-licensed images/{fg,alpha}/
      Training_set/Other/{fg,alpha}/
      Test_set/Adobe-licensed images/{fg,alpha,trimaps}/

The trimaps belong to composites, 20 for a foreground, and are left out.

**Distinctions-646** (``distinction646``): Qiao et al., Attention-Guided Hierarchical Structure Aggregation for Image
Matting, CVPR 2020. 596 training and 50 test objects; SDNet trains on 342 people of it and tests on 22::

    Distinctions-646/{Train,Test}/{FG,GT}/

Neither publisher says which objects are people or gives checksums. The lists that are published with RobustVideoMatting
hold 78 and 342 names for training, and 11 and 11 for testing.

**Pairs** (``pairs``): pictures in ``image/`` (photos, whose foreground colours are estimated) or in ``fg/`` (straight
colours), their alphas in ``alpha/``. **Cut-outs** (``cutouts``): pictures with an alpha channel.
"""

from functools import partial
from pathlib import Path

from sdnet_pl.data.prepare.base import Dataset, Found, Names, Part, Sample, find_pairs, without_suffix
from sdnet_pl.errors import InputError

_LISTS = (
    "one that matches the paper's 78 + 342 people is published with RobustVideoMatting "
    "(github.com/PeterL1n/RobustVideoMatting, documentation/misc: imagematte_train.txt, aim_test.txt, d646_test.txt)"
)


def find_people(root: Path, names: Names, parts: tuple[Part, ...]) -> Found:
    """As :func:`~sdnet_pl.data.prepare.base.find_pairs`, of a data set that holds more than people.

    Raises:
        InputError: there is no split list.
    """
    if names is None:
        raise InputError(f"{root} holds more than people: say with --split FILE who they are; {_LISTS}.")
    return find_pairs(root, names, parts)


def find_cutouts(root: Path, names: Names) -> Found:
    """Every picture of a folder and its sub-folders."""
    from sdnet_pl.data.image_io import list_pictures

    found = Found()
    named: dict[str, str] = {}
    for file in list_pictures(root):
        path = file.relative_to(root).as_posix()
        name = without_suffix(path)
        if named.setdefault(name, path) == path:
            found.samples.append(Sample("train", "train", name, {"fg": path}))
        else:
            found.problems.append(f"{named[name]} and {path} have one name; rename one.")
    return found


ADOBE = Dataset(
    expects="Combined_Dataset of Adobe Image Matting, and --split",
    writes="train/ and test/",
    homepage="https://sites.google.com/view/deepimagematting",
    licence="by agreement with Adobe; files in Other/ under various Creative Commons licences",
    find=partial(
        find_people,
        parts=(
            Part("train", "train", "fg", "Training_set/*/fg", "alpha"),
            Part("test", "test", "fg", "Test_set/*/fg", "alpha"),
        ),
    ),
    split=_LISTS,
)
DISTINCTION646 = Dataset(
    expects="Distinctions-646, and --split",
    writes="train/ and test/",
    homepage="https://github.com/yuhaoliu7456/CVPR2020-HAttMatting",
    licence="for academic research, on request",
    find=partial(
        find_people,
        parts=(Part("train", "train", "fg", "Train/FG", "GT"), Part("test", "test", "fg", "Test/FG", "GT")),
    ),
    split=_LISTS,
)
PAIRS = Dataset(
    expects="image/ (photos) or fg/ (straight colours), and alpha/",
    writes="train/",
    homepage="",
    licence="that of the pictures",
    find=partial(
        find_pairs,
        parts=(Part("train", "train", "image", "image", "alpha"), Part("train", "train", "fg", "fg", "alpha")),
    ),
)
CUTOUTS = Dataset(
    expects="pictures with an alpha channel",
    writes="train/",
    homepage="",
    licence="that of the pictures",
    find=find_cutouts,
)
