"""How much of what is wrong with photos the doctor finds, and how much of what it finds is wrong.

    python benchmarks/doctor.py [--seed 0] [--peer]

Faults are put into a copy of flowers, each into photos of their own: labels flipped; files copied, recompressed,
resized, mirrored, cropped, copied across the split, truncated. Then `fieldguide check` looks at it, cold. What the
set has of its own (docs/natural_copies.csv, looked at by people) counts neither for nor against it. The plain way
to find wrong labels is to take every photo that an out-of-fold answer contradicts. With --peer, perceptual hashes
look for the copies, too (pip install imagehash).
"""

import argparse
import csv
import io
import json
import os
import random
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from PIL import Image, ImageOps

from measure import DATA, ROOT, describe_machine, run_process

FLIPPED_SHARE = 0.05  # of all labels
COUNT = 40  # of each kind of copy
Pair = frozenset[str]


@dataclass
class Faults:
    """What was put in, by the names of photos."""

    flipped: set[str] = field(default_factory=set)
    exact: set[Pair] = field(default_factory=set)
    near: dict[str, set[Pair]] = field(default_factory=dict)
    leaks: set[Pair] = field(default_factory=set)
    truncated: set[str] = field(default_factory=set)


def main() -> None:
    """Put faults in, look for them, and print how many were found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer", action="store_true")
    arguments = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "flowers"
        shutil.copytree(DATA / "flowers", folder)
        faults = spoil(folder, random.Random(arguments.seed))
        command = [sys.executable, "-m", "fieldguide", "check", str(folder), "--json"]
        run = run_process(command, FIELDGUIDE_CACHE=f"{place}/cache")
        report(json.loads(run.stdout), faults, run.seconds)
        os.environ["FIELDGUIDE_CACHE"] = f"{place}/cache"
        row("the plain way: every contradiction", faults.flipped, contradicted(folder))
        if arguments.peer:
            by_hashes(folder, faults)


def spoil(folder: Path, chance: random.Random) -> Faults:
    """Put faults into photos, each into others."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))
    natural = set().union(*natural_pairs())
    clean = [name for name in names if name not in natural]
    chance.shuffle(clean)
    classes = sorted({name.split("/")[1] for name in names})
    faults = Faults()
    for _ in range(round(FLIPPED_SHARE * len(names))):
        part, label, file = clean.pop().split("/")
        moved = f"{part}/{chance.choice([c for c in classes if c != label])}/{file}"
        (folder / part / label / file).rename(folder / moved)
        faults.flipped.add(moved)
    for _ in range(COUNT):
        name = clean.pop()
        copy = _beside(name, "copy")
        shutil.copyfile(folder / name, folder / copy)
        faults.exact.add(frozenset((name, copy)))
    for way, change in WAYS.items():
        for _ in range(COUNT):
            name = clean.pop()
            copy = _beside(name, way)
            (folder / copy).write_bytes(change((folder / name).read_bytes(), chance))
            faults.near.setdefault(way, set()).add(frozenset((name, copy)))
    held_out = [name for name in clean if name.startswith("val/")][:COUNT]
    for number, name in enumerate(held_out):
        clean.remove(name)
        copy = _beside(name, "leak").replace("val/", "train/", 1)
        content = (folder / name).read_bytes()
        change = list(WAYS.values())[number % len(WAYS)]
        (folder / copy).write_bytes(change(content, chance) if number % 2 else content)
        faults.leaks.add(frozenset((name, copy)))
    for _ in range(COUNT):
        name = clean.pop()
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: chance.randrange(len(content) // 10, 9 * len(content) // 10)])
        faults.truncated.add(name)
    return faults


def _beside(name: str, what: str) -> str:
    return f"{name.removesuffix('.jpg')}_{what}.jpg"


def _recompressed(content: bytes, chance: random.Random) -> bytes:
    return _saved(Image.open(io.BytesIO(content)), chance.randint(30, 70))


def _resized(content: bytes, chance: random.Random) -> bytes:
    picture = Image.open(io.BytesIO(content))
    scale = chance.uniform(0.4, 0.8)
    return _saved(picture.resize([max(1, round(side * scale)) for side in picture.size]), 85)


def _mirrored(content: bytes, chance: random.Random) -> bytes:
    return _saved(ImageOps.mirror(Image.open(io.BytesIO(content))), 90)


def _cropped(content: bytes, chance: random.Random) -> bytes:
    picture = Image.open(io.BytesIO(content))
    width, height = picture.size
    left, right, top, bottom = (chance.uniform(0, 0.08) for _ in range(4))
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return _saved(picture.crop([round(edge) for edge in box]), 90)


def _saved(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


WAYS = {"recompressed": _recompressed, "resized": _resized, "mirrored": _mirrored, "cropped": _cropped}


def natural_pairs() -> set[Pair]:
    """Return the pairs of photos of flowers that show one picture, as people have seen."""
    with (ROOT / "docs" / "natural_copies.csv").open(encoding="utf-8", newline="") as file:
        return {frozenset((row["photo"], row["other"])) for row in csv.DictReader(file) if row["set"] == "flowers"}


def report(found: dict, faults: Faults, seconds: float) -> None:
    """Print precision and recall of each finding."""
    cases = {finding["kind"]: finding["cases"] for finding in found["findings"]}
    print(
        f"{found['num_photos']} photos looked at in {found['seconds']:.1f} s, {seconds:.1f} s as a whole process\n"
    )
    print(f"{'finding':<34}{'put in':>8}{'found':>8}{'right':>8}{'precision':>11}{'recall':>9}")
    pairs = _pairs(cases) - natural_pairs()
    across = {pair for pair in pairs if len({name.split("/")[0] for name in pair}) == 2}
    identical = _pairs({"copies": cases.get("copies", [])})
    near = set().union(*faults.near.values())
    row("identical files", faults.exact, identical)
    row("near-copies", near, pairs - across - identical)
    for way, of_way in faults.near.items():
        row(f"  of these {way}", of_way, of_way & pairs, precision=False)
    row("copies across the split", faults.leaks, across)
    row("truncated files", faults.truncated, _photos(cases, "damaged"))
    row("flipped labels", faults.flipped, _photos(cases, "wrong label"))


def row(name: str, put_in: set, found: set, *, precision: bool = True) -> None:
    """Print one finding."""
    right = len(put_in & found)
    share = f"{right / max(1, len(found)):.2f}" if precision else ""
    print(f"{name:<34}{len(put_in):>8}{len(found):>8}{right:>8}{share:>11}{right / len(put_in):>9.2f}")


def _photos(cases: dict[str, list[dict]], kind: str) -> set[str]:
    return {photo for case in cases.get(kind, []) for photo in case["photos"]}


def _pairs(cases: dict[str, list[dict]]) -> set[Pair]:
    kinds = ("copies", "near-copies", "leak", "two labels")
    groups = [case["photos"] for kind in kinds for case in cases.get(kind, [])]
    return {frozenset(pair) for group in groups for pair in combinations(group, 2)}


def contradicted(folder: Path) -> set[str]:
    """Return the photos whose label scikit-learn's cross-validated answers contradict, by the same features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from fieldguide.data import open_images
    from fieldguide.embed import Embedder
    from fieldguide.weights import load_backbone

    images = open_images(folder)
    embedding = Embedder(load_backbone("efficientnet_lite0")).embed(images)
    labels = images.labels[embedding.indices]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    answers = cross_val_predict(model, embedding.features.astype("float32"), labels)
    return {images.photo_names[i] for i in embedding.indices[answers != labels]}


def by_hashes(folder: Path, faults: Faults) -> None:
    """Look for near-copies by perceptual hashes, of photos as they are and mirrored."""
    import time

    import imagehash
    import numpy as np

    start = time.perf_counter()
    names, hashes, mirrored = [], [], []
    for path in sorted(folder.rglob("*.jpg")):
        try:
            picture = Image.open(path).convert("L")
        except OSError:
            continue
        names.append(str(path.relative_to(folder)))
        hashes.append(imagehash.phash(picture).hash.ravel())
        mirrored.append(imagehash.phash(ImageOps.mirror(picture)).hash.ravel())
    bits, flipped = np.array(hashes), np.array(mirrored)
    distance = np.minimum((bits[:, None] != bits).sum(axis=2), (bits[:, None] != flipped).sum(axis=2))
    seconds = time.perf_counter() - start
    put_in = set().union(*faults.near.values()) | faults.leaks | faults.exact
    print(f"\nperceptual hashes, {seconds:.1f} s; all copies together\n")
    for most in (4, 8, 12, 16):
        rows, columns = np.nonzero(np.triu(distance <= most, 1))
        found = {frozenset((names[a], names[b])) for a, b in zip(rows, columns, strict=True)} - natural_pairs()
        row(f"at most {most} of 64 bits differ", put_in, found)


if __name__ == "__main__":
    main()
