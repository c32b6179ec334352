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


def test_training_tells_of_a_copy_held_out_that_is_not_identical(photos, tmp_path):
    held_out, learnt = (f"{part}/daisy/{name}.jpg" for part, name in (
        ("val", "10994032453_ac7f8d9e2e"), ("train", "10466290366_cc72e33532"),
    ))  # fmt: skip
    chosen = [held_out, learnt]
    for part, count in (("train", 12), ("val", 4)):
        for name in ("daisy", "roses"):
            files = sorted((photos / "flowers" / part / name).iterdir())[20 : 20 + count]
            chosen += [file.relative_to(photos / "flowers").as_posix() for file in files]
    for name in chosen:
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photos / "flowers" / name, tmp_path / "photos" / name)
    findings = fg.train(tmp_path / "photos", report=False).facts["doctor"]
    (leak,) = [finding for finding in findings if finding["kind"] == "leak"]
    assert leak["summary"] == "1 picture both learnt from and held out (2 photos)"
    assert leak["cases"] == [{"photos": [held_out, learnt], "evidence": "nearly the same"}]
