"""What of a photo's metadata belongs into a cut-out of it: resolution, author, copyright, and when it was taken.

Everything else is dropped: places (GPS), embedded thumbnails, which show the background, device names, makers' notes.
"""

import re
import struct
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple
from xml.etree import ElementTree

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

_DATE = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_XMP_DATES = (
    "{http://ns.adobe.com/exif/1.0/}DateTimeOriginal",
    "{http://ns.adobe.com/photoshop/1.0/}DateCreated",
    "{http://ns.adobe.com/xap/1.0/}CreateDate",
)


class Metadata(NamedTuple):
    """What is kept of a photo, each empty if it is unknown.

    Attributes:
        dpi: pixels an inch, across and down.
        artist: who took it.
        copyright: whose it is.
        captured: when it was taken, as EXIF writes it: ``"2024:05:31 18:30:00"``.
        subseconds: the decimals of its second.
        offset: its time zone, such as ``"+02:00"``.
        dated: the date of the file, which is another where it was edited.
    """

    dpi: tuple[float, float] | None = None
    artist: str = ""
    copyright: str = ""
    captured: str = ""
    subseconds: str = ""
    offset: str = ""
    dated: str = ""

    def exif(self, software: str = "") -> bytes:
        """These alone as an EXIF block, with the software that writes it; empty if nothing is known."""
        if not any((*self, software)):
            return b""
        base, tags = Image.Exif(), ExifTags.Base
        if software:
            base[tags.Software] = software
        for tag, value in ((tags.Artist, self.artist), (tags.Copyright, self.copyright), (tags.DateTime, self.dated)):
            if value:
                base[tag] = value.encode()  # as UTF-8, where Pillow would write "?" for what is not ASCII
        if self.dpi:
            base[tags.XResolution], base[tags.YResolution], base[tags.ResolutionUnit] = *self.dpi, 2
        times = (
            (tags.DateTimeOriginal, self.captured),
            (tags.SubsecTimeOriginal, self.subseconds),
            (tags.OffsetTimeOriginal, self.offset),
        )
        base.get_ifd(ExifTags.IFD.Exif).update({tag: value for tag, value in times if value})
        return base.tobytes().removeprefix(b"Exif\0\0")

    def png_chunks(self) -> list[tuple[bytes, bytes]]:
        """These as types and data of PNG chunks that go before the pixels; the first says that colours are sRGB."""
        chunks = [(b"sRGB", b"\0")]
        if self.dpi:
            chunks.append((b"pHYs", struct.pack(">LLB", *(round(dpi / 0.0254) for dpi in self.dpi), 1)))
        if exif := self.exif():
            chunks.append((b"eXIf", exif))
        return chunks


def read_metadata(picture: ImageFile.ImageFile) -> Metadata:
    """What is kept of an opened picture's metadata: of EXIF, else XMP, else IPTC, else the texts of a PNG.

    What is damaged counts as unknown. In a PNG that is not decoded yet, what comes after the pixels is not seen.
    """
    kept = Metadata()
    for source in (_resolution, _of_exif, _of_xmp, _of_iptc, _of_texts):
        with suppress(Exception):  # damaged blocks make parsers raise nearly everything
            found = source(picture)
            if kept.captured:  # with its own second and zone
                found = found._replace(subseconds="", offset="")
            missing = {name: value for name, value in found._asdict().items() if not getattr(kept, name)}
            kept = kept._replace(**missing)
    return kept


def _resolution(picture: ImageFile.ImageFile) -> Metadata:
    """That of the upright picture, of the format's own header or else of EXIF."""
    exif, tags, dpi = _exif(picture), ExifTags.Base, picture.info.get("dpi")
    # If a JPEG's header has none, Pillow takes that of EXIF, and if there is none, 72.
    if dpi is None or (picture.format in ("JPEG", "MPO") and picture.info.get("jfif_unit") not in (1, 2)):
        inch = 2.54 if exif.get(tags.ResolutionUnit) == 3 else 1
        dpi = exif[tags.XResolution] * inch, exif[tags.YResolution] * inch
    across, down = (round(float(value), 2) for value in dpi)
    if exif.get(tags.Orientation, 1) >= 5:
        across, down = down, across
    # 1 is what Pillow takes where a TIFF has none.
    return Metadata(dpi=(across, down)) if 1 < across < 1e6 and 1 < down < 1e6 else Metadata()


def _of_exif(picture: ImageFile.ImageFile) -> Metadata:
    exif, tags = _exif(picture), ExifTags.Base
    taken: dict[int, Any] = {}
    with suppress(Exception):
        taken = exif.get_ifd(ExifTags.IFD.Exif)
    kept = Metadata(
        artist=_text(exif.get(tags.Artist)),
        copyright=_text(exif.get(tags.Copyright)),
        dated=_date(exif.get(tags.DateTime)),
    )
    for date, subseconds, offset in (
        (tags.DateTimeOriginal, tags.SubsecTimeOriginal, tags.OffsetTimeOriginal),
        (tags.DateTimeDigitized, tags.SubsecTimeDigitized, tags.OffsetTimeDigitized),
    ):
        if captured := _date(taken.get(date)):
            return kept._replace(
                captured=captured, subseconds=_text(taken.get(subseconds)), offset=_text(taken.get(offset))
            )
    return kept


def _of_xmp(picture: ImageFile.ImageFile) -> Metadata:
    packet = picture.info.get("xmp") or picture.info["XML:com.adobe.xmp"]
    root = ElementTree.fromstring(packet.rstrip(b"\0") if isinstance(packet, bytes) else packet)
    found: dict[str, str] = {}
    for description in root.iter(f"{_RDF}Description"):
        found |= description.attrib
        for part in description:
            items = [item.text or "" for item in part.iter(f"{_RDF}li")] or [part.text or ""]
            # Of a text in several languages the first is the default.
            found[part.tag] = items[0] if part.find(f"{_RDF}Alt") is not None else ", ".join(items)
    date = next((found[name] for name in _XMP_DATES if found.get(name)), "")
    return _moment(date)._replace(artist=_text(found.get(f"{_DC}creator")), copyright=_text(found.get(f"{_DC}rights")))


def _of_iptc(picture: ImageFile.ImageFile) -> Metadata:
    found = {
        number: ", ".join(_text(value) for value in (values if isinstance(values, list) else [values]))
        for (record, number), values in (IptcImagePlugin.getiptcinfo(picture) or {}).items()
        if record == 2
    }
    date = f"{found[55]}T{found.get(60, '000000')}" if found.get(55) else ""
    return _moment(date)._replace(artist=found.get(80, ""), copyright=found.get(116, ""))


def _of_texts(picture: ImageFile.ImageFile) -> Metadata:
    author, rights, date = (_text(picture.info.get(key)) for key in ("Author", "Copyright", "Creation Time"))
    return _moment(date)._replace(artist=author, copyright=rights)


def _exif(picture: ImageFile.ImageFile) -> Image.Exif:
    """The EXIF of a picture, empty if it is damaged."""
    with suppress(Exception):
        # Of a PNG that holds none before its pixels, Pillow would decode them.
        return Image.Image.getexif(picture) if picture.format == "PNG" else picture.getexif()
    return Image.Exif()


def _text(value: object) -> str:
    """A text in one line, in whatever encoding it was written."""
    if isinstance(value, str):
        with suppress(UnicodeEncodeError):  # Pillow reads EXIF as Latin-1; what that cannot hold was read rightly
            value = value.encode("latin-1")
    text = value if isinstance(value, str) else ""
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = value.decode("latin-1")
    # Photographer and editor are parted by a zero in EXIF's copyright.
    return ", ".join(part.strip() for part in text.split("\0") if part.strip())


def _date(value: object) -> str:
    """A date of EXIF; cameras whose clock is not set write zeros or blanks."""
    text = _text(value)
    return text if _DATE.fullmatch(text) and not text.startswith("0000") else ""


def _moment(text: str) -> Metadata:
    """A date in ISO 8601, as in mail or as in EXIF; empty if it is in none of these forms."""
    from email.utils import parsedate_to_datetime  # few photos need it, and each command would wait for it

    moment = None
    with suppress(ValueError):
        moment = datetime.strptime(text.strip(), "%Y:%m:%d %H:%M:%S")
    with suppress(ValueError):
        moment = parsedate_to_datetime(text)
    with suppress(ValueError):
        moment = datetime.fromisoformat(text.strip())
    if moment is None:
        return Metadata()
    return Metadata(
        captured=f"{moment:%Y:%m:%d %H:%M:%S}",
        subseconds=f"{moment:%f}".rstrip("0"),
        offset="" if moment.tzinfo is None else moment.isoformat()[-6:],
    )
