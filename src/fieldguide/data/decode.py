"""The one decoder: bytes or pixels of any kind -> an upright RGB or grey picture."""

import io
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from fieldguide.data.image_set import Photo
from fieldguide.errors import PhotoError

MAX_PIXELS = 178_956_970  # 0.5 GiB as RGB; where PIL too calls a picture a decompression bomb
MAX_FILE_BYTES = 1 << 29

_DECODERS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"GIF8", GifImageFile),
    (b"BM", BmpImageFile),
    (b"II*\x00", TiffImageFile),
    (b"MM\x00*", TiffImageFile),
    (b"II+\x00", TiffImageFile),
    (b"MM\x00+", TiffImageFile),
)
SIGNATURE_BYTES = 16
READABLE = "JPEG, PNG, WebP, GIF, BMP or TIFF"

_UPRIGHT = {  # EXIF orientation -> what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_ORIENTATION = 0x0112

# A photo with odd metadata is no news to who trains on it; a damaged one is named with its reason.
warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True)
class Header:
    """What a file says of its picture before that is decoded.

    Args:
        format: such as "JPEG"; "" of pixels.
        mode: of colours, as PIL names them, such as "RGB", "L" or "CMYK".
        width: in pixels, as stored.
        height: in pixels, as stored.
        orientation: by EXIF; 1 where it is stored upright, or says nothing.
    """

    format: str
    mode: str
    width: int
    height: int
    orientation: int


def read_header(photo: Photo) -> Header:
    """Read what a photo says of itself; its pixels are not decoded.

    Raises:
        PhotoError: it is empty, not an image, or damaged.
    """
    try:
        picture = (
            find_decoder(photo[:SIGNATURE_BYTES])(io.BytesIO(photo))
            if isinstance(photo, bytes)
            else from_pixels(photo)
        )
        return Header(picture.format or "", picture.mode, *picture.size, _orientation(picture))
    except PhotoError:
        raise
    except Exception as error:  # as in decode
        raise PhotoError(f"damaged: {str(error).strip() or type(error).__name__}") from error


def find_decoder(head: bytes) -> type[ImageFile.ImageFile]:
    """Return what decodes a file that begins with ``head`` (16 bytes or more); its name plays no part.

    Raises:
        PhotoError: the file is empty, or of no format that fieldguide reads.
    """
    if not head:
        raise PhotoError("empty file")
    for signature, decoder in _DECODERS:
        if head.startswith(signature):
            return decoder
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WebPImageFile
    if head[4:8] == b"ftyp":
        kind = head[8:12].decode("ascii", "replace")
        raise PhotoError(f"not an image but a {kind!r} container (HEIC, AVIF or video); convert it to JPEG")
    raise PhotoError(f"not an image ({READABLE})")


def decode(photo: Photo, *, channels: int = 3, smallest_px: int | None = None) -> Image.Image:
    """Decode a photo: EXIF orientation applied, transparency over white, 16-bit scaled to 8.

    Args:
        photo: bytes of an image file, or uint8 pixels (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
            Of an animation or a multi-page file, the first picture.
        channels: 3 for RGB, 1 for grey.
        smallest_px: a JPEG may be decoded at a half, a quarter or an eighth of its size while both its
            sides stay at least this long, which is several times faster for large photos.

    Returns:
        A PIL image of mode "RGB" or "L".

    Raises:
        PhotoError: empty, truncated, not an image, too large; the message is the reason.
    """
    try:
        picture = _open(photo, smallest_px)
        if 0 in picture.size:
            raise PhotoError(f"no pixels: {picture.width} x {picture.height}")
        return _flatten(_to_8_bit(picture), "L" if channels == 1 else "RGB")
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError("too large for this machine's memory") from error
    except Exception as error:  # a damaged file can make PIL's decoders raise nearly anything
        raise PhotoError(f"damaged: {str(error).strip() or type(error).__name__}") from error


def from_pixels(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    """Return uint8 pixels (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as a picture."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels)


def to_pixels(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Return an upright picture's pixels, with its transparency; more than 8 bits are left to the decoder.

    Raises:
        PhotoError: its file is damaged.
    """
    try:
        upright = ImageOps.exif_transpose(picture)
        is_deep = upright.mode.startswith("I") or upright.mode == "F"
        return np.asarray(upright if is_deep else upright.convert("RGBA"))
    except (OSError, SyntaxError, ValueError) as error:  # PIL reads the file only now
        raise PhotoError(f"damaged: {error}") from error


def _open(photo: Photo, smallest_px: int | None) -> Image.Image:
    if not isinstance(photo, bytes):
        return from_pixels(photo)
    picture = find_decoder(photo[:SIGNATURE_BYTES])(io.BytesIO(photo))
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise PhotoError(f"decompression bomb: {width} x {height} pixels, more than {MAX_PIXELS:,}")
    if smallest_px:
        picture.draft(None, (smallest_px, smallest_px))
    picture.load()
    orientation = _orientation(picture)  # after load, which turns a TIFF upright itself and says so here
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


def _orientation(picture: Image.Image) -> int:
    try:
        value = picture.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # a photo with broken EXIF is still a photo
        return 1
    return value if isinstance(value, int) else 1


def _to_8_bit(picture: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float greys to 8 bits; PIL's own conversion clips them to white."""
    if not (picture.mode.startswith("I") or picture.mode == "F"):
        return picture
    values = np.nan_to_num(np.asarray(picture).astype(np.float64), posinf=0, neginf=0)
    if picture.mode == "F" and values.min() >= 0 and values.max() <= 1:
        values = values * 255
    elif picture.mode.startswith("I;16") or (values.min() >= 0 and 255 < values.max() <= 65_535):
        values = values / 257
    elif values.min() < 0 or values.max() > 255:  # no agreed range: darkest to black, brightest to white
        values = (values - values.min()) * (255 / max(np.ptp(values), 1e-9))
    return Image.fromarray(values.round().astype(np.uint8))


def _flatten(picture: Image.Image, mode: str) -> Image.Image:
    has_alpha = picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info
    if has_alpha:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    if picture.mode == "LAB":  # PIL knows no way from there to grey
        picture = picture.convert("RGB")
    return picture if picture.mode == mode else picture.convert(mode)
