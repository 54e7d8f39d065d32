"""ICC profiles of colours that a file describes by other means: code points, gamma and primaries, or Adobe RGB.

A profile is written rather than the arithmetic, so that all conversions go the one way of those that hold a profile.
"""

import struct
from functools import cache

import numpy as np
from numpy.typing import NDArray

_D50 = np.array([0.9642, 1.0, 0.8249])  # the white of the profile connection space, ICC.1:2022, 7.2.16
_D65 = (0.3127, 0.329)
# x and y of red, green and blue.
_SRGB = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
_BT2020 = (0.708, 0.292, 0.17, 0.797, 0.131, 0.046)
_ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
# Primaries and white by their code point (ITU-T H.273). Those of standard television, which encoders often write
# without knowing, are so near to sRGB's that they are taken for these.
_PRIMARIES = {9: (_BT2020, _D65), 11: (_P3, (0.314, 0.351)), 12: (_P3, _D65)}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_PQ, _HLG = 16, 18
_PAPER_WHITE = 203  # cd/m², the white of standard range within these, ITU-R BT.2408


def cicp_profile(primaries: int, transfer: int) -> bytes | None:
    """The profile of code points as in PNG's cICP and in nclx (ITU-T H.273), None if they mean sRGB.

    Of a high dynamic range, what is brighter than paper-white is cut off.
    """
    if primaries not in _PRIMARIES and transfer not in (*_GAMMAS, _PQ, _HLG):
        return None
    return _code_points(primaries, transfer)


def gamma_profile(exponent: float, chromaticity: tuple[float, ...] | None) -> bytes | None:
    """The profile of a PNG's gAMA and cHRM, None if they mean sRGB or nothing at all.

    Args:
        exponent: of the encoding, such as 0.45455.
        chromaticity: x and y of white, red, green and blue, if they are given.
    """
    if not 0.1 <= exponent <= 10:
        return None
    white, primaries = (chromaticity[:2], chromaticity[2:]) if chromaticity else (_D65, _SRGB)
    if not np.isfinite([*white, *primaries]).all() or min(white[1], *primaries[1::2]) <= 0:
        return None
    # Of a gamma of 2.2 sRGB is meant: most files that hold it were written before there was a chunk for sRGB.
    encoded = _srgb_curve() if abs(exponent - 1 / 2.2) < 0.01 else _gamma_curve(1 / exponent)
    if encoded == _srgb_curve() and np.allclose(primaries, _SRGB, atol=0.01):
        return None
    return _profile(tuple(primaries), tuple(white), encoded)


@cache
def adobe_rgb() -> bytes:
    """The profile of Adobe RGB (1998)."""
    return _profile(_ADOBE, _D65, _gamma_curve(563 / 256))


@cache
def _code_points(primaries: int, transfer: int) -> bytes:
    colorants, white = _PRIMARIES.get(primaries, (_SRGB, _D65))
    if transfer in (_PQ, _HLG):
        curve = _table(_paper_light(transfer, np.linspace(0, 1, 4096)))
    else:
        curve = _gamma_curve(_GAMMAS[transfer]) if transfer in _GAMMAS else _srgb_curve()
    return _profile(colorants, white, curve)


def _paper_light(transfer: int, signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """The light of a high-dynamic-range signal, 1 for paper-white, cut off there (ITU-R BT.2100)."""
    if transfer == _PQ:
        power = signal ** (1 / 78.84375)
        light = 10000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
        light = 1000 * scene**1.2  # the system's gamma for a display of 1000 cd/m², channel by channel
    return np.minimum(light / _PAPER_WHITE, 1)


def matrix_to_srgb(profile: bytes) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """What brings the colours of an RGB profile to sRGB, if it is one of curves and a matrix.

    Returns:
        The light of each level of 8 bits, ``[256, 3]`` in [0, 1], and the matrix ``[3, 3]`` that makes light of sRGB of
        it; None for a profile of another sort.
    """
    tags = _tags(profile)
    names = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    # Tables, if there are any, come before the matrix.
    if profile[16:24] != b"RGB XYZ " or b"A2B0" in tags or not all(name in tags for name in names):
        return None
    curves = [curve for name in names[3:] if (curve := _curve(tags[name])) is not None]
    if len(curves) < 3:
        return None
    columns = np.array([struct.unpack_from(">3l", tags[name], 8) for name in names[:3]]).T / 65536
    matrix = np.linalg.solve(_colorants(_SRGB, _D65), columns)
    return np.stack(curves, axis=1), np.asarray(matrix, np.float64)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">L", profile, 128)
    entries = struct.iter_unpack(">4sLL", profile[132 : 132 + 12 * min(count, 100)])
    return {name: profile[start : start + size] for name, start, size in entries}


def _curve(tag: bytes) -> NDArray[np.float64] | None:
    """The light of each of 256 levels (ICC.1:2022, 10.6 and 10.18); None for an unknown kind of curve."""
    levels = np.linspace(0, 1, 256)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">L", tag, 8)
        values = np.frombuffer(tag, ">u2", count, 12)
        if count < 2:
            return levels ** (values[0] / 256) if count else levels
        return np.interp(levels, np.linspace(0, 1, count), values / 65535)
    if tag[:4] != b"para":
        return None
    kind = struct.unpack_from(">H", tag, 8)[0]
    if kind > 4:
        return None
    numbers = np.array(struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}l", tag, 12)) / 65536
    gamma, a, b, c, d, e, f = np.pad(numbers, (0, 7 - len(numbers)))
    if kind == 0:
        a = 1.0
    if kind in (1, 2):  # below the point where the power begins there is a constant
        c, d, e, f = 0.0, -b / a, (c if kind == 2 else 0.0), (c if kind == 2 else 0.0)
    power = np.maximum(a * levels + b, 0) ** gamma + e
    return np.clip(np.where(levels >= d, power, c * levels + f), 0, 1)


def _profile(primaries: tuple[float, ...], white: tuple[float, ...], curve: bytes) -> bytes:
    """A matrix profile of version 4 (ICC.1:2022): what the linear primaries add up to, and their one curve."""
    colorants = _colorants(primaries, white).T
    tags = {name: _xyz_tag(value) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)}
    tags |= {b"wtpt": _xyz_tag(_D50), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    tags[b"desc"] = tags[b"cprt"] = b"mluc" + bytes(4) + struct.pack(">LL", 0, 12)
    start = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">L", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">LL", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    head = struct.pack(">L4xB3x4s4s4s", start + len(data), 4, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(*_D50)
    return head + bytes(128 - len(head)) + table + data


def _colorants(primaries: tuple[float, ...], white: tuple[float, ...]) -> NDArray[np.float64]:
    """The XYZ of full red, green and blue, columns that add up to white, adapted to that of profiles (Bradford)."""
    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    adapted = np.linalg.inv(cones) @ np.diag((cones @ _D50) / (cones @ _xyz(white))) @ cones
    columns = np.array([_xyz(primaries[i : i + 2]) for i in (0, 2, 4)]).T
    return adapted @ columns * np.linalg.solve(columns, _xyz(white))


def _xyz(xy: tuple[float, ...]) -> NDArray[np.float64]:
    return np.array([xy[0] / xy[1], 1, (1 - xy[0] - xy[1]) / xy[1]])


def _xyz_tag(value: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*value)


def _srgb_curve() -> bytes:
    return b"para" + struct.pack(">4xHxx", 3) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def _gamma_curve(gamma: float) -> bytes:
    return b"para" + struct.pack(">4xHxx", 0) + _fixed(gamma)


def _table(values: NDArray[np.float64]) -> bytes:
    return b"curv" + struct.pack(">4xL", len(values)) + np.rint(values * 65535).astype(">u2").tobytes()


def _fixed(*values: float) -> bytes:
    """Numbers of 16 bits before the point and 16 after it."""
    return struct.pack(f">{len(values)}l", *(round(value * 65536) for value in values))
