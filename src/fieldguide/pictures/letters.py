"""Names that people give, in whatever script: fonts for them, and a word where there is none."""

import contextlib
import warnings
from collections.abc import Iterator

from fieldguide.errors import FieldguideWarning

_FONTS = (  # with letters that matplotlib's own font lacks, on the systems that have them
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "PingFang SC", "Yu Gothic", "Microsoft YaHei",
    "Malgun Gothic", "WenQuanYi Zen Hei", "Noto Sans Devanagari", "Noto Sans Thai", "Arial Unicode MS",
)  # fmt: skip


@contextlib.contextmanager
def any_script() -> Iterator[None]:
    """Give figures that are made and saved inside every font at hand.

    Letters that none of them has are drawn as boxes, of which one :class:`FieldguideWarning` tells.
    """
    from matplotlib import font_manager, rc_context

    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _FONTS if name in installed)]
    with rc_context({"font.family": families}), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    is_lacking = ["missing from font" in str(each.message) for each in caught]
    for each, is_known in zip(caught, is_lacking, strict=True):
        if not is_known:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if any(is_lacking):
        message = "boxes stand for letters that no font here has; install one that has them, such as Noto Sans"
        warnings.warn(message, FieldguideWarning, stacklevel=3)
