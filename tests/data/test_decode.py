"""The decoder, on pictures made here whose right answer is known."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fieldguide.data.decode import MAX_PIXELS, decode, find_decoder
from fieldguide.errors import PhotoError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
WHITE, RED = (255, 255, 255), (255, 0, 0)
RNG = np.random.default_rng(0)
NOISE = np.kron(
    RNG.integers(0, 255, (4, 6, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8)
)  # 48 x 32, no symmetry
LOSSLESS = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
HOW_STORED = {  # EXIF orientation -> how the stored picture differs from the upright one
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **{**LOSSLESS.get(kind, {}), **options})
    return buffer.getvalue()


def distance(picture: Image.Image, expected: np.ndarray) -> float:
    return float(np.abs(np.asarray(picture).astype(int) - expected).max())


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_that_claims(width: int, height: int, content: bytes = b"", bits: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", content), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, inside) for kind, inside in chunks)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_decoded_to_rgb(kind):
    colours = Image.fromarray(NOISE).quantize(24).convert("RGB")  # few enough for a GIF
    picture = decode(encoded(colours, kind))
    assert (picture.mode, picture.size) == ("RGB", (48, 32))
    assert distance(picture, np.asarray(colours).astype(int)) <= (6 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_pictures_the_first_is_decoded(kind):
    first, second = Image.new("RGB", (9, 7), RED), Image.new("RGB", (9, 7), (0, 0, 255))
    content = encoded(first, kind, save_all=True, append_images=[second])
    assert decode(content).getpixel((4, 3)) == RED


@pytest.mark.parametrize("orientation", HOW_STORED)
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})],
)
def test_exif_orientation_is_applied(kind, options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    how, upright = HOW_STORED[orientation], Image.fromarray(NOISE)
    stored = upright if how is None else upright.transpose(how)
    picture = decode(encoded(stored, kind, exif=exif, **options))
    assert picture.size == (48, 32)
    assert distance(picture, NOISE.astype(int)) <= (6 if kind == "JPEG" else 0)


@pytest.mark.parametrize("orientation", [0, 9, 4711])
def test_an_orientation_that_does_not_exist_is_ignored(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert distance(decode(encoded(Image.fromarray(NOISE), "PNG", exif=exif)), NOISE.astype(int)) == 0


BROKEN_EXIF = [
    b"Exif\0\0",
    b"Exif\0\0nonsense",
    b"Exif\0\0II*\0\xff\xff\xff\xff",
    b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12",
    b"Exif\0\0II*\0" + struct.pack("<IHHHI4sI", 8, 1, 0x0112, 2, 2, b"6", 0),  # the orientation is the text "6"
]


@pytest.mark.parametrize("exif", BROKEN_EXIF)
@pytest.mark.filterwarnings("ignore")  # PIL warns of what it finds there; decode silences it outside of pytest
def test_a_photo_with_broken_exif_is_still_a_photo(exif):
    assert distance(decode(encoded(Image.fromarray(NOISE), "JPEG", exif=exif)), NOISE.astype(int)) <= 6


def test_odd_metadata_is_no_news_to_the_user(tmp_path):
    for number, exif in enumerate(BROKEN_EXIF):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(Image.fromarray(NOISE), "JPEG", exif=exif))
    program = (
        "import sys, pathlib; from fieldguide.data.decode import decode\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()): print(decode(path.read_bytes()).size)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert (done.stdout.count("(48, 32)"), done.stderr) == (len(BROKEN_EXIF), "")


def transparent_pictures():
    """Pictures of 2 x 1 pixels: a red or black one that shows, and one that does not."""
    rgba = Image.new("RGBA", (2, 1), (*RED, 255))
    rgba.putpixel((1, 0), (0, 0, 0, 0))
    grey_alpha = Image.new("LA", (2, 1), (0, 255))
    grey_alpha.putpixel((1, 0), (0, 0))
    palette = Image.new("P", (2, 1))
    palette.putpalette([*RED, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    grey = Image.new("L", (2, 1))
    grey.putpixel((1, 0), 77)
    rgb = Image.new("RGB", (2, 1), RED)
    rgb.putpixel((1, 0), (1, 2, 3))
    yield pytest.param(encoded(rgba, "PNG"), RED, id="RGBA png")
    yield pytest.param(encoded(rgba, "WEBP"), RED, id="RGBA webp")
    yield pytest.param(encoded(rgba, "TIFF"), RED, id="RGBA tiff")
    yield pytest.param(encoded(rgba, "GIF"), RED, id="gif")
    yield pytest.param(encoded(grey_alpha, "PNG"), (0, 0, 0), id="LA png")
    yield pytest.param(encoded(palette, "PNG", transparency=1), RED, id="P with one transparent index")
    yield pytest.param(encoded(palette, "PNG", transparency=b"\xff\x00"), RED, id="P with alpha bytes")
    yield pytest.param(encoded(grey, "PNG", transparency=77), (0, 0, 0), id="L with tRNS")
    yield pytest.param(encoded(rgb, "PNG", transparency=(1, 2, 3)), RED, id="RGB with tRNS")


@pytest.mark.parametrize(("content", "shown"), list(transparent_pictures()))
def test_what_is_transparent_becomes_white(content, shown):
    picture = decode(content)
    assert (picture.mode, picture.getpixel((0, 0)), picture.getpixel((1, 0))) == ("RGB", shown, WHITE)
    grey = decode(content, channels=1)
    assert (grey.mode, grey.getpixel((0, 0)), grey.getpixel((1, 0))) == ("L", 76 if shown == RED else 0, 255)


def test_half_transparent_black_over_white_is_grey():
    assert decode(encoded(Image.new("RGBA", (1, 1), (0, 0, 0, 128)), "PNG")).getpixel((0, 0)) == (127, 127, 127)


def test_a_cmyk_jpeg_keeps_its_colours():
    content = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
    assert distance(decode(content), np.array(RED)) <= 3
    assert abs(decode(content, channels=1).getpixel((8, 8)) - 76) <= 3


def deep_pictures():
    steps = np.array([[0, 0x4040, 0x8080, 0xFFFF]])
    expected = [0, 64, 128, 255]
    yield pytest.param(Image.fromarray(steps.astype(np.uint16)), "PNG", expected, id="16-bit png")
    yield pytest.param(Image.fromarray(steps.astype(np.uint16)), "TIFF", expected, id="16-bit tiff")
    yield pytest.param(Image.fromarray(steps.astype(">u2")), "TIFF", expected, id="16-bit big-endian tiff")
    yield pytest.param(Image.fromarray(steps.astype(np.int32)), "TIFF", expected, id="16 bits in a 32-bit tiff")
    tiny = np.array([[0, 64, 128, 255]], np.int32)
    yield pytest.param(Image.fromarray(tiny), "TIFF", expected, id="8 bits in a 32-bit tiff")
    wide = np.array([[-1000, 0, 1000]], np.int32)
    yield pytest.param(Image.fromarray(wide), "TIFF", [0, 128, 255], id="32-bit tiff of no agreed range")
    unit = np.array([[0, 0.25, 0.5, 1]], np.float32)
    yield pytest.param(Image.fromarray(unit), "TIFF", expected, id="float tiff from 0 to 1")
    yield pytest.param(Image.fromarray(unit * 255), "TIFF", expected, id="float tiff from 0 to 255")
    yield pytest.param(Image.fromarray(unit * 4e6 - 2e6), "TIFF", expected, id="float tiff of no agreed range")
    holes = np.array([[np.nan, np.inf, -np.inf, 1]], np.float32)
    yield pytest.param(Image.fromarray(holes), "TIFF", [0, 0, 0, 255], id="float tiff with holes")
    flat = np.full((1, 2), -5, np.float32)
    yield pytest.param(Image.fromarray(flat), "TIFF", [0, 0], id="float tiff of one value")


@pytest.mark.parametrize(("picture", "kind", "expected"), list(deep_pictures()))
def test_deep_greys_are_scaled_and_not_clipped(picture, kind, expected):
    content = encoded(picture, kind)
    assert np.asarray(decode(content, channels=1)).tolist() == [expected]
    assert np.asarray(decode(content))[0].tolist() == [[v] * 3 for v in expected]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_black_and_white_and_palette_become_rgb_or_grey(kind, mode):
    content = encoded(Image.new("L", (8, 8), 255).convert(mode), kind)
    assert decode(content).getpixel((3, 3)) == WHITE
    assert decode(content, channels=1).getpixel((3, 3)) == 255


@pytest.mark.parametrize(("mode", "colour"), [("LAB", (138, 209, 198)), ("YCbCr", (76, 85, 255))])
def test_other_colour_spaces_become_rgb_or_grey(mode, colour):
    content = encoded(Image.new(mode, (8, 8), colour), "TIFF")
    assert distance(decode(content), np.array(RED)) <= 12
    assert abs(decode(content, channels=1).getpixel((3, 3)) - 76) <= 12


def test_colours_become_grey_by_their_brightness():
    grey = decode(encoded(Image.new("RGB", (3, 2), (10, 200, 30)), "PNG"), channels=1)
    assert (grey.mode, grey.size) == ("L", (3, 2))
    assert grey.getpixel((0, 0)) == round(0.299 * 10 + 0.587 * 200 + 0.114 * 30)


def drawing(width: int, height: int) -> Image.Image:
    picture = Image.new("RGB", (width, height), (230, 220, 200))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((width // 8, height // 8, width // 2, height - height // 8), fill=(30, 120, 60))
    draw.rectangle((width // 2, height // 4, width - width // 8, height // 2), fill=(200, 40, 40))
    return picture


@pytest.mark.parametrize(("smallest_px", "divisor"), [(None, 1), (1200, 1), (601, 1), (600, 2), (299, 4), (9, 8)])
def test_a_large_jpeg_is_decoded_small_but_never_below_what_is_asked_for(smallest_px, divisor):
    picture = decode(encoded(drawing(1600, 1200), "JPEG"), smallest_px=smallest_px)
    assert picture.size == (1600 // divisor, 1200 // divisor)


def test_decoding_small_is_close_to_decoding_whole():
    content = encoded(drawing(1600, 1200), "JPEG", quality=90)
    small, whole = (decode(content, smallest_px=px).resize((224, 224)) for px in (448, None))
    assert np.abs(np.asarray(small).astype(int) - np.asarray(whole)).mean() < 1


def test_a_small_decoded_jpeg_is_still_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(drawing(1600, 800), "JPEG", exif=exif), smallest_px=200).size == (200, 400)


def test_what_is_not_a_jpeg_is_decoded_whole():
    assert decode(encoded(drawing(400, 300), "PNG"), smallest_px=20).size == (400, 300)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"empty file"),
        (b"a shopping list\n", r"not an image \(JPEG, PNG, WebP, GIF, BMP or TIFF\)"),
        (b"%PDF-1.7 and so on", r"not an image"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", r"not an image but a 'heic' container .*convert it to JPEG"),
        (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00", r"not an image but a 'avif' container"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", r"not an image"),
        (b"\xff\xd8\xff", r"damaged: "),
        (b"\x89PNG\r\n\x1a\n" + b"nonsense" * 9, r"damaged: "),
        (png_that_claims(100_000, 90_000), rf"decompression bomb: 100000 x 90000 .* than {MAX_PIXELS:,}"),
        (np.zeros((0, 5), np.uint8), r"no pixels: 5 x 0"),
        (np.zeros((5, 0, 3), np.uint8), r"no pixels: 0 x 5"),
        (np.zeros((5, 5, 7), np.uint8), r"damaged: Cannot handle this data type: \(1, 1, 7\)"),
    ],
)  # fmt: skip
def test_what_is_no_photo_says_why(content, reason):
    with pytest.raises(PhotoError, match=f"^{reason}"):
        decode(content)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_a_truncated_photo_is_refused(kind):
    content = encoded(
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 70, 3), dtype=np.uint8)), kind
    )
    for length in (len(content) // 10, len(content) // 2, len(content) * 9 // 10):
        with pytest.raises(PhotoError, match=r"^damaged: \w+"):
            decode(content[:length])


@pytest.mark.filterwarnings("ignore")
def test_whatever_damage_a_file_has_the_error_is_a_photo_error():
    rng = np.random.default_rng(5)
    whole = [encoded(Image.fromarray(NOISE), kind) for kind in FORMATS]
    for trial in range(300):
        content = np.frombuffer(whole[trial % len(whole)], np.uint8).copy()
        content[rng.integers(0, min(len(content), 200), size=4)] = rng.integers(0, 256, size=4)
        try:
            assert decode(content.tobytes()).mode == "RGB"
        except PhotoError as error:
            assert len(str(error).splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits its own memory as Linux does")
def test_a_photo_that_does_not_fit_into_memory_says_so(tmp_path):
    (tmp_path / "huge.png").write_bytes(
        png_that_claims(13_000, 13_000, zlib.compress(bytes(1626 * 13_000), 1), bits=1)
    )
    program = (
        "import resource, sys; from fieldguide.data.decode import decode\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "limit = pages * resource.getpagesize() + (64 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "decode(open(sys.argv[1], 'rb').read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "huge.png"], capture_output=True, text=True, check=False
    )
    assert done.stderr.rstrip().endswith("PhotoError: too large for this machine's memory")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((2, 3), (9, 9, 9)), ((2, 3, 1), (9, 9, 9)), ((2, 3, 3), (9, 9, 9)), ((2, 3, 4), (246, 246, 246))],
)
def test_pixels_of_every_shape_are_a_photo(shape, expected):
    picture = decode(np.full(shape, 9, np.uint8))  # of four channels the last is alpha: 9 of 255
    assert (picture.mode, picture.size, picture.getpixel((1, 1))) == ("RGB", (3, 2), expected)
    assert decode(np.full(shape, 9, np.uint8), channels=1).getpixel((1, 1)) == expected[0]


def test_the_decoder_is_found_by_content():
    assert {find_decoder(encoded(Image.fromarray(NOISE), kind)[:16]).format for kind in FORMATS} == set(FORMATS)
