"""Do the marks matter? A fifth of each photo is covered: what is marked most, or as much at a random place.

    python benchmarks/explain.py [--photos 100]

Guides to flowers, and to cats and dogs; photos held out that the guide has right, evenly chosen.
"""

import argparse
import time

import numpy as np

import fieldguide as fg
from fieldguide.explain import Explainer
from fieldguide.explain.deletion import deletion_test
from measure import DATA, describe_machine


def main() -> None:
    """Explain photos, cover what is marked, and print what that costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=100)
    arguments = parser.parse_args()
    print(describe_machine(), "\n")
    print(f"{'guide':<12}{'photos':>8}{'ms a photo':>12}{'lost by the marks':>20}{'at random':>12}")
    for name in ("flowers", "cats_dogs"):
        guide = fg.train(DATA / name)
        images = fg.open_images(DATA / name)
        answers = guide.evaluation.answers
        right = [
            n
            for n, k, p in zip(answers.photo_names, answers.labels, answers.probs, strict=True)
            if p.argmax() == k
        ]
        chosen = [right[i] for i in np.linspace(0, len(right) - 1, min(arguments.photos, len(right))).astype(int)]
        index = {photo: number for number, photo in enumerate(images.photo_names)}
        explainer = Explainer(guide)
        start = time.perf_counter()
        marks = [explainer.explain(images.read(index[photo]))[0] for photo in chosen]
        each_ms = 1000 * (time.perf_counter() - start) / len(marks)
        test = deletion_test(guide, marks)
        print(f"{name:<12}{test.num_photos:>8}{each_ms:>12.0f}{test.marked:>20.3f}{test.random:>12.3f}")


if __name__ == "__main__":
    main()
