"""report.html: what a guide knows, how well, and why; and several guides side by side."""

from collections.abc import Sequence
from pathlib import Path

from fieldguide.data import ImageSet
from fieldguide.errors import DataError, GuideError
from fieldguide.guide import Guide, load
from fieldguide.paths import expand
from fieldguide.progress import Progress, silent
from fieldguide.reports.evidence import Evidence, Sample, gather, sample
from fieldguide.reports.page import REPORT, to_page, with_report
from fieldguide.reports.side_by_side import check_classes, compare_page
from fieldguide.reports.told import told_by

__all__ = ["REPORT", "Evidence", "Sample", "gather", "report", "sample", "with_report"]


def report(
    guides: str | Path | Sequence[str | Path],
    data: ImageSet | str | Path | None = None,
    *,
    data_root: str | Path | None = None,
    exclude: str | Path | None = None,
    engine: str = "auto",
    on_progress: Progress = silent,
) -> bytes:
    """Return the report of a guide, or of several side by side, as one HTML page that needs nothing beside it.

    Several are asked about the same photos, those that none of them has learnt from, and compared photo by photo.

    Args:
        guides: the path of one, or paths of several.
        data: photos in classes, in any form that :func:`fieldguide.train` takes; by default those that the first
            guide was trained on.
        data_root: where a named set's files are.
        exclude: a CSV list of photos to leave out, as of :func:`fieldguide.open_images`.
        engine: that runs the guides.
        on_progress: called as photos are done.

    Raises:
        GuideError: a guide can't be loaded.
        DataError: the photos are not there, can't be used, or are of other classes; or there is nothing to compare
            guides by.
        ValueError: there is no guide.
    """
    guides = [guides] if isinstance(guides, str | Path) else guides
    if not guides:
        raise ValueError("guides is empty; name one or more")
    loaded, names = [_load(path, engine) for path in guides], _told_apart(guides)
    check_classes(loaded, names)
    wanted = data if data is not None else _own_photos(loaded, guides, is_listed=exclude is not None)
    evidence = gather(loaded, wanted, data_root=data_root, exclude=exclude, on_progress=on_progress)
    if data is not None and len(loaded) == 1 and not len(evidence[0].asked):
        raise DataError(
            f"{evidence[0].images.name} leaves no photo to ask about: each was learnt from, lies in no class "
            "folder or can't be used; pass photos that are new, or the whole set with those held out"
        )
    for guide in loaded:
        guide.embedder.start()  # to measure how long a photo takes
    if len(loaded) == 1:
        return to_page(loaded[0], evidence[0], on_progress)
    return compare_page(loaded, names, evidence)


def _load(path: str | Path, engine: str) -> Guide:
    guide = load(path, engine=engine)
    try:
        told_by(guide)
    except GuideError as error:
        raise GuideError(f"{path}: {error}") from error
    return guide


def _own_photos(guides: Sequence[Guide], paths: Sequence[str | Path], *, is_listed: bool) -> Path:
    """Return where the first guide's own photos are, if they are here; a named set is never fetched unasked."""
    told, path = told_by(guides[0]), paths[0]
    if not told.data_name:
        raise DataError(f"{path} does not say which photos it was trained on; pass photos by --data")
    if not expand(told.data_name).exists():
        raise DataError(
            f"{path} was trained on {told.data_name}, which is no path that is here; pass those photos or others "
            "by --data, as a path or as the name of a set"
        )
    for guide, of_guide in zip(guides, paths, strict=True):
        left_out = told_by(guide).num_excluded
        if left_out and not is_listed:
            raise DataError(
                f"{of_guide} was trained without {left_out} photos that a list left out; pass the list by "
                "--exclude, or it may be asked about them"
            )
    return expand(told.data_name)


def _told_apart(paths: Sequence[str | Path]) -> list[str]:
    """Return short names of guides, and their paths where these would be the same."""
    names = [expand(path).name.removesuffix(".zip").removesuffix(".guide") for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]
