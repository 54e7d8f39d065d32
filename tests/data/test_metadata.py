import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from sdnet_pl.data.image_io import read_photo, read_rgb, write_png
from sdnet_pl.data.metadata import Metadata

TAGS, IFD = ExifTags.Base, ExifTags.IFD
PIXELS = np.full((16, 24, 3), 90, np.uint8)


@pytest.fixture
def exif():
    """What a phone writes: much more than a cut-out should tell."""
    exif = Image.Exif()
    exif[TAGS.Make], exif[TAGS.Model], exif[TAGS.HostComputer] = "Maker", "Phone 9", "Ann's phone"
    exif[TAGS.Artist], exif[TAGS.Copyright] = "Zoë Łukasz".encode(), "© 2024 Ann".encode()
    exif[TAGS.DateTime] = "2024:06:01 10:00:00"
    taken = exif.get_ifd(IFD.Exif)
    taken[TAGS.DateTimeOriginal], taken[TAGS.OffsetTimeOriginal] = "2024:05:31 18:30:00", "+02:00"
    taken[TAGS.SubsecTimeOriginal] = "123"
    taken[TAGS.MakerNote], taken[TAGS.BodySerialNumber] = b"secret" * 9, "123456"
    taken[TAGS.UserComment] = b"ASCII\0\0\0at home"
    place = exif.get_ifd(IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLatitude] = "N", (52.0, 31.0, 12.0)
    return exif


def kept(path: Path, tmp_path: Path) -> Image.Image:
    """The PNG that is written of a photo."""
    write_png(tmp_path / "out.png", *read_photo(path))
    with Image.open(tmp_path / "out.png") as picture:
        picture.load()
        return picture


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".mpo"])
def test_author_copyright_and_dates_are_kept_and_all_else_is_not(tmp_path, exif, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(PIXELS).save(path, exif=exif)
    pixels, metadata = read_photo(path)
    np.testing.assert_array_equal(pixels, read_rgb(path))
    assert metadata.artist == "Zoë Łukasz"
    assert metadata.copyright == "© 2024 Ann"
    assert metadata[3:] == ("2024:05:31 18:30:00", "123", "+02:00", "2024:06:01 10:00:00")
    written = kept(path, tmp_path).getexif()
    assert written[TAGS.Artist].encode("latin-1").decode() == "Zoë Łukasz"
    assert written[TAGS.Copyright].encode("latin-1").decode() == "© 2024 Ann"
    assert set(written) == {TAGS.Artist, TAGS.Copyright, TAGS.DateTime, IFD.Exif}
    assert written.get_ifd(IFD.Exif) == {
        TAGS.DateTimeOriginal: "2024:05:31 18:30:00",
        TAGS.SubsecTimeOriginal: "123",
        TAGS.OffsetTimeOriginal: "+02:00",
    }
    content = (tmp_path / "out.png").read_bytes()
    assert not [word for word in (b"secret", b"Phone", b"Ann's", b"at home", b"123456") if word in content]


def test_a_tiff_keeps_them_too(tmp_path, exif):
    exif[TAGS.Artist] = "Ann"  # Pillow writes no more than ASCII into a TIFF
    del exif[TAGS.Copyright]
    Image.fromarray(PIXELS).save(tmp_path / "photo.tif", exif=exif.tobytes(), dpi=(240, 240))
    _, metadata = read_photo(tmp_path / "photo.tif")
    assert metadata == Metadata((240, 240), "Ann", "", "2024:05:31 18:30:00", "123", "+02:00", "2024:06:01 10:00:00")


def test_the_embedded_thumbnail_stays_behind(tmp_path):
    # An EXIF block whose second directory is a thumbnail.
    thumbnail = b"\xff\xd8" + b"the background, small" + b"\xff\xd9"
    first = b"\0\1" + b"\x82\x98\0\2\0\0\0\4Ann\0" + b"\0\0\0\x1a"
    second = b"\0\2" + b"\2\1\0\4\0\0\0\1\0\0\0\x38" + b"\2\2\0\4\0\0\0\1" + len(thumbnail).to_bytes(4) + bytes(4)
    block = b"MM\0*\0\0\0\x08" + first + second + thumbnail
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg", exif=b"Exif\0\0" + block)
    assert b"background" in (tmp_path / "photo.jpg").read_bytes()
    assert kept(tmp_path / "photo.jpg", tmp_path).getexif()[TAGS.Copyright] == "Ann"
    assert b"background" not in (tmp_path / "out.png").read_bytes()


# Resolution


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
def test_the_resolution_is_kept(tmp_path, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(PIXELS).save(path, dpi=(300, 150))
    assert read_photo(path)[1].dpi == pytest.approx((300, 150), abs=0.02)
    assert kept(path, tmp_path).info["dpi"] == pytest.approx((300, 150), abs=0.02)


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".jpg"])
@pytest.mark.parametrize("unit", [2, 3])
def test_the_resolution_of_exif_is_kept(tmp_path, suffix, unit):
    exif = Image.Exif()
    exif[TAGS.XResolution] = exif[TAGS.YResolution] = 300.0 if unit == 2 else 300 / 2.54
    exif[TAGS.ResolutionUnit] = unit
    Image.fromarray(PIXELS).save(tmp_path / f"photo{suffix}", exif=exif)
    assert read_photo(tmp_path / f"photo{suffix}")[1].dpi == pytest.approx((300, 300), abs=0.02)


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png", ".webp"])
def test_no_resolution_is_made_up(tmp_path, suffix):
    exif = Image.Exif()
    exif[TAGS.Copyright] = "Ann"  # beside which Pillow would take 72 for a JPEG
    Image.fromarray(PIXELS).save(tmp_path / f"photo{suffix}", exif=exif)
    assert read_photo(tmp_path / f"photo{suffix}")[1] == Metadata(copyright="Ann")
    assert "dpi" not in kept(tmp_path / f"photo{suffix}", tmp_path).info


def test_the_resolution_turns_with_the_photo(tmp_path):
    exif = Image.Exif()
    exif[TAGS.Orientation] = 6
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg", dpi=(300, 150), exif=exif)
    pixels, metadata = read_photo(tmp_path / "photo.jpg")
    assert pixels.shape[:2] == (24, 16)
    assert metadata.dpi == (150, 300)
    assert TAGS.Orientation not in kept(tmp_path / "photo.jpg", tmp_path).getexif()


# Other places


XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="52,31.2N"
 photoshop:DateCreated="2024-05-31T18:30:00.5+02:00">
<dc:creator><rdf:Seq><rdf:li>Zoë</rdf:li><rdf:li>Łukasz</rdf:li></rdf:Seq></dc:creator>
<dc:rights><rdf:Alt>
<rdf:li xml:lang="x-default">© Ann</rdf:li><rdf:li xml:lang="de">von Ann</rdf:li></rdf:Alt></dc:rights>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".png"])
def test_xmp_stands_in_for_exif(tmp_path, suffix):
    path = tmp_path / f"photo{suffix}"
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt("XML:com.adobe.xmp", XMP)
    Image.fromarray(PIXELS).save(path, **({"pnginfo": notes} if suffix == ".png" else {"xmp": XMP.encode()}))
    expected = Metadata(None, "Zoë, Łukasz", "© Ann", "2024:05:31 18:30:00", "5", "+02:00")
    assert read_photo(path)[1] == expected
    kept(path, tmp_path)
    assert b"GPS" not in (tmp_path / "out.png").read_bytes()


def test_exif_comes_first_and_its_date_keeps_its_own_zone(tmp_path):
    exif = Image.Exif()
    exif[TAGS.Artist] = "Ann"
    exif.get_ifd(IFD.Exif)[TAGS.DateTimeOriginal] = "2020:01:01 00:00:00"
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg", exif=exif, xmp=XMP.encode())
    assert read_photo(tmp_path / "photo.jpg")[1] == Metadata(None, "Ann", "© Ann", "2020:01:01 00:00:00")


def test_iptc_stands_in_for_exif(tmp_path):
    records = b"".join(
        bytes([0x1C, 2, number]) + len(text.encode()).to_bytes(2) + text.encode()
        for number, text in ((80, "Zoë"), (116, "© Ann"), (55, "20240531"), (60, "183000+0200"))
    )
    resource = b"8BIM\4\4\0\0" + len(records).to_bytes(4) + records + bytes(len(records) % 2)
    segment = b"Photoshop 3.0\0" + resource
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg")
    data = (tmp_path / "photo.jpg").read_bytes()
    (tmp_path / "photo.jpg").write_bytes(data[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2) + segment + data[2:])
    assert read_photo(tmp_path / "photo.jpg")[1] == Metadata(
        None, "Zoë", "© Ann", "2024:05:31 18:30:00", offset="+02:00"
    )


@pytest.mark.parametrize("behind", [False, True])
def test_the_texts_of_a_png_stand_in_for_exif(tmp_path, behind):
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    chunks = b""
    for keyword, text in (
        ("Author", "Zoë"),
        ("Copyright", "© Ann"),
        ("Creation Time", "Fri, 31 May 2024 18:30:00 GMT"),
    ):
        data = b"tEXt" + keyword.encode() + b"\0" + text.encode("latin-1")
        chunks += (len(data) - 4).to_bytes(4) + data + zlib.crc32(data).to_bytes(4)
    content = (tmp_path / "photo.png").read_bytes()
    place = len(content) - 12 if behind else 33
    (tmp_path / "photo.png").write_bytes(content[:place] + chunks + content[place:])
    metadata = read_photo(tmp_path / "photo.png")[1]
    assert metadata == Metadata(None, "Zoë", "© Ann", "2024:05:31 18:30:00", offset="+00:00")


@pytest.mark.parametrize(
    ("text", "captured", "offset"),
    [
        ("2022:03:04 05:06:07", "2022:03:04 05:06:07", ""),
        ("2022-03-04T05:06:07+01:00", "2022:03:04 05:06:07", "+01:00"),
        ("2022:13:04 05:06:07", "", ""),
        ("0000:00:00 00:00:00", "", ""),
    ],
)
def test_a_png_is_dated_in_any_common_form(tmp_path, text, captured, offset):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Creation Time", text)
    Image.fromarray(PIXELS).save(tmp_path / "photo.png", pnginfo=texts)
    assert read_photo(tmp_path / "photo.png")[1] == Metadata(captured=captured, offset=offset)


# What is damaged


@pytest.mark.parametrize("date", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", ""])
def test_a_date_that_is_none_is_left_out(tmp_path, date):
    exif = Image.Exif()
    exif[TAGS.Copyright] = "Ann\0"
    exif.get_ifd(IFD.Exif)[TAGS.DateTimeOriginal] = date
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg", exif=exif)
    assert read_photo(tmp_path / "photo.jpg")[1] == Metadata(copyright="Ann")


@pytest.mark.parametrize(
    "block", [b"Exif\0\0MM\0*\xff\xff\xff", b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(30)]
)
def test_damaged_metadata_does_not_cost_the_photo(tmp_path, block):
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg", exif=block, xmp=b"<x:xmpmeta", dpi=(300, 300))
    pixels, metadata = read_photo(tmp_path / "photo.jpg")
    assert pixels.shape == PIXELS.shape
    assert metadata == Metadata(dpi=(300, 300))


def test_a_photo_that_says_nothing_adds_nothing(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "photo.ppm")
    assert Metadata().exif() == b""
    picture = kept(tmp_path / "photo.ppm", tmp_path)
    assert not picture.getexif()
    assert picture.info["srgb"] == 0


def test_chunks_are_those_of_the_standard():
    chunks = dict(Metadata((300, 150), copyright="Ann").png_chunks())
    assert list(chunks) == [b"sRGB", b"pHYs", b"eXIf"]
    assert chunks[b"pHYs"] == (11811).to_bytes(4) + (5906).to_bytes(4) + b"\1"
    assert chunks[b"eXIf"].startswith(b"MM\0*")
    assert Metadata().png_chunks() == [(b"sRGB", b"\0")]
