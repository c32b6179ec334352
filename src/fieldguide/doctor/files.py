"""What a look at each photo tells: damaged files, odd ones, and pictures on which little can be seen."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from fieldguide.data.decode import Header
from fieldguide.doctor.finding import Case, Finding, found, of_photos
from fieldguide.doctor.look import Look

BLANK_CONTRAST = 0.02  # standard deviation of a picture's greys, from 0 to 1
DARK, BRIGHT = 0.08, 0.93  # mean of its greys
BLURRED_SHARPNESS = 0.1  # of the sharpest part of a picture of 96 px; photos in focus have 0.2 and more
TINY_PX = 64  # shorter side: an eleventh of the pixels of a picture of 224
LONG_RATIO = 3.0  # of the sides; a square crop shows a third
_UPRIGHT = 1
_EXTENSIONS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png", ".apng"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff"},
    "WEBP": {".webp"},
}


def find_damaged(looks: Sequence[Look]) -> Iterator[Finding]:
    """Find what can't be decoded, with the reason."""
    yield from damaged((index, look.reason) for index, look in enumerate(looks) if look.reason)


def damaged(skipped: Iterable[tuple[int, str]]) -> Iterator[Finding]:
    """Report photos that can't be used, each with the reason."""
    cases = [Case((index,), reason) for index, reason in skipped]
    yield from found("damaged", cases, of_photos(len(cases), "photo that can't be used"))


def find_odd_files(looks: Sequence[Look], photo_names: Sequence[str]) -> Iterator[Finding]:
    """Find extensions that lie, photos that EXIF turns, and colour modes and shapes unlike the rest's.

    What most photos of a set have is how the set is, and no oddity.
    """
    headers = {index: look.header for index, look in enumerate(looks) if look.header is not None}
    cases = [
        Case((index,), f"is {header.format}")
        for index, header in headers.items()
        if _extension_lies(header, photo_names[index])
    ]
    yield from found("extension", cases, of_photos(len(cases), "photo with a name that ends like another format"))
    turned = [Case((i,), f"orientation {h.orientation}") for i, h in headers.items() if h.orientation != _UPRIGHT]
    yield from found("rotated", turned, of_photos(len(turned), "photo turned by EXIF"))
    yield from _find_rare_modes(headers)


def _find_rare_modes(headers: dict[int, Header]) -> Iterator[Finding]:
    modes = Counter(header.mode for header in headers.values())
    if not modes:
        return
    usual = modes.most_common(1)[0][0]
    cases = [Case((i,), f"{h.mode}, most are {usual}") for i, h in headers.items() if h.mode != usual]
    yield from found("colours", cases, of_photos(len(cases), f"photo of another colour mode than {usual}"))


def find_hard_to_see(looks: Sequence[Look]) -> Iterator[Finding]:
    """Find pictures that are blank, blurred, dark, bright, tiny or long: each for its first reason alone."""
    seen: set[int] = set()
    for name, what, measure in _HARD_TO_SEE:
        measured = {i: measure(look) for i, look in enumerate(looks) if look.header is not None}
        cases = [Case((i,), evidence, weight) for i, (weight, evidence) in measured.items() if weight > 0]
        if 2 * len(cases) > len(measured):  # that is how the set is
            continue
        new = [case for case in cases if case.photos[0] not in seen]
        seen |= {case.photos[0] for case in new}
        yield from found(name, new, of_photos(len(new), what))


def _blank(look: Look) -> tuple[float, str]:
    return BLANK_CONTRAST - look.contrast, f"contrast {100 * look.contrast:.1f} %"


def _dark(look: Look) -> tuple[float, str]:
    return DARK - look.brightness, _brightness(look)


def _bright(look: Look) -> tuple[float, str]:
    return look.brightness - BRIGHT, _brightness(look)


def _brightness(look: Look) -> str:
    return f"brightness {100 * look.brightness:.0f} %"


def _blurred(look: Look) -> tuple[float, str]:
    return BLURRED_SHARPNESS - look.sharpness, f"sharpness {look.sharpness:.2f}"


def _tiny(look: Look) -> tuple[float, str]:
    width, height = _sides(look)
    return TINY_PX - min(width, height), f"{width} x {height} px"


def _long(look: Look) -> tuple[float, str]:
    width, height = _sides(look)
    return max(width, height) / min(width, height) - LONG_RATIO, f"{width} x {height} px"


_HARD_TO_SEE: tuple[tuple[str, str, Callable[[Look], tuple[float, str]]], ...] = (
    ("blank", "photo with nothing on it", _blank),
    ("dark", "very dark photo", _dark),
    ("bright", "very bright photo", _bright),
    ("tiny", f"photo smaller than {TINY_PX} px", _tiny),
    ("blurred", "blurred photo", _blurred),
    ("long", f"photo with one side over {LONG_RATIO:g} times the other", _long),
)


def _sides(look: Look) -> tuple[int, int]:
    assert look.header is not None
    return look.header.width, look.header.height


def _extension_lies(header: Header, name: str) -> bool:
    extension = PurePosixPath(name).suffix.lower()
    known = set().union(*_EXTENSIONS.values())
    return extension in known and extension not in _EXTENSIONS.get(header.format, known)
