"""Are a guide's probabilities true, its sets of classes right, and does it know what it does not know?

    python benchmarks/trust.py

Guides to flowers, and to cats and dogs. On the photos held out: the calibration error before and after the
temperature, how often a set of classes holds the truth, and how many classes it has; and the calibration error of
answers to all photos, each fifth held out in turn, for of few photos chance makes most of it. Then photos of other
sets, which show none of the classes: by each of five known measures, how well they are told from those held out
(AUROC: 1 for always, 0.5 for not at all), and how many of each the guide itself calls unknown. At last the same of
networks trained from nothing, whose features are of these photos alone.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

import fieldguide as fg
from fieldguide.data import open_photos
from fieldguide.data.splits import held_out_photos
from fieldguide.evaluate import calibration
from fieldguide.evaluate.coverage import least_probability
from fieldguide.head.logistic_regression import fit_head
from fieldguide.training.trust import learn_trust
from measure import DATA, describe_machine

Features = np.ndarray
SHRINKAGE = 0.1  # of covariances, towards a multiple of the identity
PRINCIPAL = 256  # dimensions that hold what is known, for the residual of the rest


def main() -> None:
    """Train the guides, and judge them."""
    print(describe_machine(), "\n")
    cifar10 = fg.open_images("cifar10", data_root=DATA)
    some = cifar10.select((cifar10.parts == "test") & (np.arange(len(cifar10)) % 10 == 0))
    others = {"flowers": DATA / "flowers", "cats_dogs": DATA / "cats_dogs", "imagen": DATA / "imagen"}
    features: dict[str, Features] = {}
    guides = {name: fg.train(DATA / name) for name in ("flowers", "cats_dogs")}
    embedder = guides["flowers"].embedder
    for name, place in others.items():
        features[name] = embedder.embed(open_photos([place])).features.astype(np.float32)
    features["cifar10"] = embedder.embed(some).features.astype(np.float32)
    print(f"{'guide':<11}{'held out':>9}{'ECE before':>12}{'after':>8}{'by chance':>11}", end="")
    print("".join(f"{f'sets of {c:.0%}':>16}{'classes':>9}" for c in (0.9, 0.95)))
    for name, guide in guides.items():
        judge_probabilities(name, guide)
    for name, guide in guides.items():
        judge_in_turn(name, guide)
    for name, guide in guides.items():
        strange = {other: features[other] for other in features if other != name}
        judge_unknowns(name, guide, strange)
    for name in ("flowers", "cats_dogs"):
        judge_network(name, {other: place for other, place in others.items() if other != name})


def judge_network(name: str, others: dict[str, Path]) -> None:
    """Train a network from nothing, and print how many photos it calls unknown."""
    settings = {"epochs": 20, "batch_size": 32}
    guide = fg.train_network(DATA / name, model="resnet20", size_px=64, settings=settings)
    _, _, new, _ = split(name, guide)
    share = {
        other: unknown_share(guide, guide.embedder.embed(open_photos([p])).features) for other, p in others.items()
    }
    told = ", ".join(f"{other} {value:.3f}" for other, value in share.items())
    print(f"\nResNet-20 from nothing, {name}: top-1 {guide.evaluation.top1:.3f}; called unknown: held out "
          f"{unknown_share(guide, new):.3f}, {told}")  # fmt: skip


def unknown_share(guide: fg.Guide, features: Features) -> float:
    """Return the share of photos that a guide calls unknown."""
    return float((guide.trust.familiarity.measure(features) < guide.trust.familiarity.threshold).mean())


def split(name: str, guide: fg.Guide) -> tuple[Features, np.ndarray, Features, np.ndarray]:
    """Return features and labels of the photos learnt from, and of those held out."""
    images = fg.open_images(DATA / name)
    embedding = guide.embedder.embed(images)
    held_out = held_out_photos(images, embedding.indices, embedding.digests)
    features, labels = embedding.features.astype(np.float32), images.labels[embedding.indices]
    return features[~held_out], labels[~held_out], features[held_out], labels[held_out]


def judge_probabilities(name: str, guide: fg.Guide) -> None:
    """Print calibration errors and coverages."""
    known, known_labels, new, labels = split(name, guide)
    before = calibration(fit_head(known, known_labels, len(guide.class_names)).head.probs(new), labels)
    probs = guide.head.probs(new)
    after = calibration(probs, labels)
    print(f"{name:<11}{len(new):>9}{before.error:>12.4f}{after.error:>8.4f}{after.error_by_chance:>11.4f}", end="")
    for coverage in (0.9, 0.95):
        sets = probs >= np.minimum(
            least_probability(guide.trust.of_truth, coverage), probs.max(axis=1, keepdims=True)
        )
        print(f"{sets[np.arange(len(new)), labels].mean():>16.3f}{sets.sum(axis=1).mean():>9.2f}", end="")
    print()


def judge_in_turn(name: str, guide: fg.Guide) -> None:
    """Print the calibration error of answers to all photos, each by a head that has not learnt from its fifth."""
    images = fg.open_images(DATA / name)
    embedding = guide.embedder.embed(images)
    features, labels = embedding.features, images.labels[embedding.indices]
    fifth = np.random.default_rng(0).permutation(len(labels)) % 5
    probs = np.zeros((len(labels), len(guide.class_names)), np.float32)
    for number in range(5):
        learnt = fifth != number
        fitted, own = fit_head(features[learnt], labels[learnt], len(guide.class_names)), labels[learnt]
        head, _ = learn_trust(fitted.head, features[learnt], own, fitted.choice.probs, own[fitted.choice.rows])
        probs[~learnt] = head.probs(features[~learnt])
    found = calibration(probs, labels)
    by_chance = f"by chance {found.error_by_chance:.4f}"
    print(f"{name}, each fifth in turn: ECE {found.error:.4f} of {len(labels)} photos, {by_chance}")


def judge_unknowns(name: str, guide: fg.Guide, strange: dict[str, Features]) -> None:
    """Print how well each measure tells strange photos from those held out."""
    known, labels, new, _ = split(name, guide)
    print(f"\n{f'{name}: AUROC against':<42}" + "".join(f"{other:>11}" for other in strange))
    for title, measure in measures(guide, known, labels).items():
        print(f"{title:<42}", end="")
        for features in strange.values():
            truth = np.arange(len(new) + len(features)) < len(new)
            print(f"{roc_auc_score(truth, np.concatenate([measure(new), measure(features)])):>11.4f}", end="")
        print()
    share = {other: unknown_share(guide, own) for other, own in strange.items()}
    own = unknown_share(guide, new)
    print(f"{f'called unknown (held out: {own:.3f})':<42}" + "".join(f"{s:>11.3f}" for s in share.values()))


def measures(guide: fg.Guide, known: Features, labels: np.ndarray) -> dict[str, Callable[[Features], np.ndarray]]:
    """Return what gives each photo a number, the higher the more it is like those that are known."""
    centre = known.mean(axis=0)
    means = np.stack([known[labels == k].mean(axis=0) for k in np.unique(labels)])
    precision = np.linalg.inv(shrunk(known - means[labels]))
    _, axes = np.linalg.eigh(np.cov((known - centre).T))
    rest = axes[:, :-PRINCIPAL]

    def mahalanobis(features: Features) -> np.ndarray:
        return -np.min(
            [np.einsum("nd,de,ne->n", f, precision, f, optimize=True) for f in features - means[:, None]], 0
        )

    def residual(features: Features) -> np.ndarray:
        return np.linalg.norm((features - centre) @ rest, axis=1)

    def energy(features: Features) -> np.ndarray:
        return np.logaddexp.reduce(guide.head.logits(features), axis=1)

    scale = guide.head.logits(known).max(axis=1).mean() / residual(known).mean()
    return {
        "largest probability (Hendrycks, 2017)": lambda features: guide.head.probs(features).max(axis=1),
        "energy (Liu, 2020)": energy,
        "Mahalanobis distance (Lee, 2018)": mahalanobis,
        "residual and energy (ViM; Wang, 2022)": lambda features: energy(features) - scale * residual(features),
        "cosine of the 5th neighbour (Sun, 2022)": guide.trust.familiarity.measure,
    }


def shrunk(differences: Features) -> np.ndarray:
    """Return a covariance (D, D), a tenth of it replaced by a multiple of the identity."""
    covariance = differences.T @ differences / len(differences)
    return (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(
        len(covariance)
    )


if __name__ == "__main__":
    main()
