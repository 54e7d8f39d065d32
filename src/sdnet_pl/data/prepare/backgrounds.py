"""Pictures without people to composite over: COCO and PASCAL VOC. Neither publisher gives checksums.

**COCO** (``coco``): Lin et al., Microsoft COCO, ECCV 2014. Of 118,287 training and 5,000 validation pictures (2017),
those without a person in the instance annotations. The pictures of its test set have none and are left out::

    train2017/  val2017/  (or of 2014, anywhere)
    annotations/instances_{train,val}2017.json

**PASCAL VOC** (``voc``): Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010. Of any year, the
pictures without a person in their annotation::

    VOCdevkit/VOC2012/{JPEGImages,Annotations}/

Annotations miss people now and then, in crowds and at the edge.
"""

import json
from pathlib import Path
from xml.etree import ElementTree

from sdnet_pl.data.prepare.base import Dataset, Found, Names, Sample, find_folders, without_suffix
from sdnet_pl.errors import InputError


def find_coco(root: Path, names: Names) -> Found:
    """The pictures of COCO that are annotated and show nobody.

    Raises:
        InputError: no folder of pictures has its annotations, or they are not those of COCO.
    """
    from sdnet_pl.data.listing import walk

    found, files = Found(), walk(root).files
    for split in ("train2014", "val2014", "train2017", "val2017"):
        folders, annotations = find_folders(root, split), [f for f in files if f.name == f"instances_{split}.json"]
        if not folders:
            continue
        if not annotations:
            found.problems.append(f"{split}/ has no instances_{split}.json, which says who is in its pictures; add it.")
            continue
        empty = _coco_without_people(annotations[0])
        present = {path.name for path in folders[0].iterdir()}
        found.lists.append(annotations[0].relative_to(root).as_posix())
        found.samples += [
            Sample(
                "background",
                split,
                without_suffix(name),
                {"image": f"{folders[0].relative_to(root).as_posix()}/{name}"},
            )
            for name in sorted(empty & present)
        ]
        absent = sorted(empty - present)
        if absent:
            found.problems.append(
                f"{split}/ lacks {len(absent)} of the {len(empty)} pictures that show nobody ({absent[0]}, ...); "
                "complete it."
            )
    if not found.samples:
        raise InputError(
            f"{root} holds no pictures of COCO with their annotations; unpack the pictures, into train2017/ or "
            "val2017/, and annotations/instances_train2017.json and so on side by side, and give the folder above."
        )
    return found


def find_voc(root: Path, names: Names) -> Found:
    """The pictures of PASCAL VOC that are annotated and show nobody.

    Raises:
        InputError: there is no folder of pictures beside one of annotations.
    """
    from sdnet_pl.data.image_io import list_pictures

    found = Found()
    for folder in find_folders(root, "JPEGImages"):
        unknown = []
        for file in list_pictures(folder):
            name = without_suffix(file.relative_to(folder).as_posix())
            annotation = folder.parent / "Annotations" / f"{name}.xml"
            try:
                objects = ElementTree.parse(annotation).findall("object/name")
            except (OSError, ElementTree.ParseError):
                unknown.append(name)
                continue
            if "person" not in [item.text for item in objects]:
                sources = {
                    role: path.relative_to(root).as_posix()
                    for role, path in (("image", file), ("annotation", annotation))
                }
                found.samples.append(Sample("background", folder.parent.name, name, sources))
        if unknown:
            found.problems.append(
                f"{folder.relative_to(root).as_posix()}/ holds {len(unknown)} picture(s) without a readable annotation "
                f"({unknown[0]}, ...), and so maybe with people; complete Annotations/ beside it."
            )
    if not found.samples:
        raise InputError(
            f"{root} holds no picture of PASCAL VOC with an annotation; give the folder that holds VOCdevkit/ with "
            "JPEGImages/ and Annotations/ of a year."
        )
    return found


def _coco_without_people(file: Path) -> set[str]:
    try:
        content = json.loads(file.read_bytes())
        people = {category["id"] for category in content["categories"] if category["name"] == "person"}
        busy = {item["image_id"] for item in content["annotations"] if item["category_id"] in people}
        return {image["file_name"] for image in content["images"] if image["id"] not in busy}
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{file} is not a file of COCO's instance annotations; download it again.") from None


COCO = Dataset(
    expects="train2017/, val2017/ (or 2014) and annotations/ of COCO",
    writes="train2017/ and val2017/",
    homepage="https://cocodataset.org",
    licence="annotations under CC BY 4.0; pictures under the licences their authors chose on Flickr",
    find=find_coco,
)
VOC = Dataset(
    expects="VOCdevkit of PASCAL VOC",
    writes="VOC2012/ or the year's",
    homepage="http://host.robots.ox.ac.uk/pascal/VOC/",
    licence="pictures under Flickr's terms of use",
    find=find_voc,
)
