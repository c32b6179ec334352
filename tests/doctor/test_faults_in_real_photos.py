"""Faults put into real photos are found: the thresholds hold for photos, and not for drawn ones alone."""

import random
import shutil

from PIL import Image, ImageOps

import fieldguide as fg


def test_faults_in_flowers_are_found(photos, tmp_path):
    chance = random.Random(0)
    folder = tmp_path / "flowers"
    names = []
    for label in ("daisy", "roses", "sunflowers"):
        for path in sorted((photos / "flowers" / "train" / label).iterdir())[:120]:
            names.append(f"{label}/{path.name}")
            (folder / label).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / label / path.name)
    chance.shuffle(names)
    flipped, mirrored, cropped = set(), set(), set()
    for name in names[:18]:
        label, file = name.split("/")
        wrong = f"{'roses' if label == 'daisy' else 'daisy'}/{file}"
        (folder / name).rename(folder / wrong)
        flipped.add(wrong)
    for kind, found, change in (
        ("mirrored", mirrored, ImageOps.mirror),
        ("cropped", cropped, lambda p: p.crop((p.width // 20, p.height // 30, p.width * 19 // 20, p.height))),
    ):
        for name in [names.pop() for _ in range(8)]:
            copy = f"{name.removesuffix('.jpg')} {kind}.jpg"
            with Image.open(folder / name) as picture:
                change(picture).save(folder / copy, quality=80)
            found.add(frozenset((name, copy)))
    checkup = fg.check(folder)
    shown = checkup.images.photo_names
    cases = {finding.kind.name: finding.cases for finding in checkup.findings}
    copies = [*cases.get("near-copies", ()), *cases.get("leak", ())]
    assert {frozenset(shown[photo] for photo in case.photos) for case in copies} == mirrored | cropped
    suspected = {shown[case.photos[0]] for case in cases["wrong label"]}
    assert len(suspected & flipped) >= 0.7 * len(flipped) and len(suspected - flipped) <= len(flipped)
