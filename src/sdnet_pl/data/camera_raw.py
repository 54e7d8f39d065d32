"""Camera raw files, told by what they hold: small previews too, which a decoder of TIFF takes for the picture."""

import struct
from contextlib import suppress
from typing import IO

_NAMES = (
    "3fr ari arw bay cap cr2 cr3 crw dcr dcs dng drf eip erf fff gpr iiq k25 kdc mdc mef mos mrw nef nrw orf pef ptx "
    "pxn raf raw rw2 rwl rwz sr2 srf srw x3f"
)
RAW_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
"""What camera raw files end in, in lower case."""

# What those begin with that are not a TIFF, or not an ordinary one, and where.
_SIGNATURES = {
    b"FUJIFILMCCD-RAW": 0,
    b"IIRO": 0,  # Olympus
    b"IIRS": 0,
    b"MMOR": 0,
    b"IIU\0": 0,  # Panasonic
    b"\0MRM": 0,  # Minolta
    b"FOVb": 0,  # Sigma
    b"HEAPCCDR": 6,  # Canon's CRW, CR2 and CR3
    b"CR\2": 8,
    b"ftypcrx ": 4,
    b"IIII": 8,  # Phase One
    b"MMMM": 8,
}
_PHOTOMETRIC, _SUB_DIRECTORIES, _DNG_VERSION = 262, 330, 50706
_WHOLE = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}  # the letter of struct by TIFF's type
_MOST = 1024
_OF_SENSORS = (32803, 34892)  # a colour filter array, linear raw


def is_raw(stream: IO[bytes]) -> bool:
    """Whether a file holds what the sensor of a camera saw. The stream is left at its start."""
    stream.seek(0)
    head = stream.read(32)
    found = any(head.startswith(signature, place) for signature, place in _SIGNATURES.items()) or any(
        _DNG_VERSION in tags or tags.get(_PHOTOMETRIC, (0,))[0] in _OF_SENSORS for tags in tiff_directories(stream)
    )
    stream.seek(0)
    return found


def tiff_directories(stream: IO[bytes]) -> list[dict[int, tuple[int, ...]]]:
    """The whole numbers in each directory of a TIFF, sub-directories too, by their tags; none if it is not a TIFF."""
    stream.seek(0)
    head, found = stream.read(16), list[dict[int, tuple[int, ...]]]()
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    # BigTIFF has longer numbers: of the first directory, its entries, and how many there are.
    entry, count, start = {42: ("HHL4s", "H", 4), 43: ("HHQ8s", "Q", 8)}.get(
        struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) == 16 else 0, ("", "", 0)
    )
    if not entry:
        return found
    number = entry[2]
    places, seen = [struct.unpack_from(order + number, head, start)[0]], {0}
    with suppress(struct.error, OverflowError, OSError):  # the file ends early, or names a place far beyond its end
        while places and len(seen) < _MOST:
            place = places.pop()
            if place in seen:
                continue
            seen.add(place)
            stream.seek(place)
            found.append({})
            (entries,) = struct.unpack(order + count, stream.read(struct.calcsize(f"={count}")))
            width = struct.calcsize(f"={entry}")
            table = stream.read(min(entries, _MOST) * width + struct.calcsize(f"={number}"))
            for tag, kind, length, value in struct.iter_unpack(order + entry, table[: len(table) // width * width]):
                layout = f"{order}{length}{_WHOLE[kind]}" if kind in _WHOLE and length <= _MOST else f"{order}0B"
                if struct.calcsize(layout) > len(value):
                    stream.seek(struct.unpack(order + number, value)[0])
                    value = stream.read(struct.calcsize(layout))
                if numbers := struct.unpack_from(layout, value):
                    found[-1][tag] = numbers
            places += found[-1].get(_SUB_DIRECTORIES, ())
            places += struct.unpack(order + number, table[-struct.calcsize(f"={number}") :])
    return found
