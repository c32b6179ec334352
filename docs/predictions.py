"""Draw docs/predictions.jpg: a guide's answers to held-out photos, right ones and wrong ones.

    python docs/predictions.py flowers.guide photos/val docs/predictions.jpg

Shows the first photo of each class and the first three that the guide gets wrong, in the order of their names.
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
from PIL import Image

import fieldguide as fg

RIGHT, WRONG, OTHER = "#8fd3b6", "#f2ab97", "#dededa"


def main(guide_path: str, photos: str, target: str) -> None:
    """Choose the photos, ask the guide, draw."""
    guide = fg.load(guide_path)
    first: dict[str, Path] = {}
    wrong: list[Path] = []
    for path in sorted(Path(photos).glob("*/*.jpg")):
        is_right = guide.predict(path).label == path.parent.name
        if is_right:
            first.setdefault(path.parent.name, path)
        else:
            wrong.append(path)
    shown = [*first.values(), *wrong[: 8 - len(first)]]
    heights = [3, 0.8, 0.3, 3, 0.8]  # photos, answers, air, photos, answers
    figure, axes = plt.subplots(5, 4, figsize=(10, 6.8), height_ratios=heights, layout="constrained")
    for blank in axes[2]:
        blank.axis("off")
    for number, path in enumerate(shown):
        row, column = 3 * (number // 4), number % 4
        draw_photo(axes[row, column], path)
        draw_answers(axes[row + 1, column], guide.predict(path), path.parent.name)
    figure.text(0.5, -0.03, "Above: what the photo shows. Below: the guide's answers, green if right, red if not.",
                ha="center", fontsize=9, color="#555550")  # fmt: skip
    figure.savefig(target, dpi=120, bbox_inches="tight", pil_kwargs={"quality": 80, "optimize": True})


def draw_photo(axes: plt.Axes, path: Path) -> None:
    """Show the photo, titled with what it really shows."""
    with Image.open(path) as picture:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        axes.imshow(picture.crop((left, top, left + side, top + side)).resize((300, 300)), aspect="equal")
    axes.set_title(path.parent.name, fontsize=10)
    axes.axis("off")


def draw_answers(axes: plt.Axes, prediction: fg.Prediction, truth: str) -> None:
    """Draw the three most probable classes as bars."""
    top = prediction.top(3)[::-1]
    names, shares = zip(*top, strict=True)
    colours = [OTHER, OTHER, RIGHT if names[-1] == truth else WRONG]
    axes.barh(range(3), shares, color=colours, height=0.75)
    for place, (name, share) in enumerate(top):
        axes.text(0.02, place, f"{name}  {100 * share:.0f} %", va="center", fontsize=8)
    axes.set(xlim=(0, 1), xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)


if __name__ == "__main__":
    main(*sys.argv[1:])
