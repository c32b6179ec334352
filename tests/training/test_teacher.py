"""Distillation: guides as teachers, what a student's loss takes from them, and photos without a class."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import fieldguide as fg
from fieldguide.data import Preprocess
from fieldguide.embed import Embedder
from fieldguide.errors import GuideError, RecipeError, TrainingError
from fieldguide.guide import Guide
from fieldguide.head import LinearHead
from fieldguide.head.class_weights import class_weights
from fieldguide.models import create_model
from fieldguide.training.objective import Objective, distillation_loss
from fieldguide.training.order import Order
from fieldguide.training.photos.augment import Augmentation
from fieldguide.training.photos.lesson_photos import gather_photos
from fieldguide.training.recipe import Recipe
from fieldguide.training.record.facts import data_fingerprint
from fieldguide.training.record.job import load_job
from fieldguide.training.runs import resume, train_network
from fieldguide.training.schedule import Stage
from fieldguide.training.teacher import GuideTeacher, _body, _by_engine, guide_fingerprint, load_teachers
from fieldguide.weights import Backbone
from fieldguide.weights.tensors import Weights

CPU = torch.device("cpu")
NAMES = ("blue", "green", "red")
STUDENT = Preprocess(size_px=32, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))


def small_guide(seed: int = 0, names: tuple[str, ...] = NAMES, **preprocess: object) -> Guide:
    """A guide of a small network with random weights, which answers differently for each seed."""
    torch.manual_seed(seed)
    chosen = Preprocess(**{"size_px": 32, **preprocess})
    network = create_model("resnet20", num_classes=0, in_channels=chosen.channels)
    tensors = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    backbone = Backbone("resnet20", Weights(lambda: tensors), chosen, {"in_channels": chosen.channels})
    random = np.random.default_rng(seed)
    head = LinearHead(random.normal(size=(len(names), 64)).astype(np.float32), np.zeros(len(names), np.float32))
    return Guide(Embedder(backbone, engine="torch-cpu"), head, names)


@pytest.fixture(scope="module")
def squares():
    """Six coloured squares (6, 32, 32, 3): smooth, so that their size matters little."""
    random = np.random.default_rng(3)
    corners = torch.from_numpy(random.uniform(20, 235, (6, 3, 3, 3)))
    smooth = F.interpolate(corners, (32, 32), mode="bilinear", align_corners=True)
    return smooth.round().numpy().astype(np.uint8).transpose(0, 2, 3, 1)


def as_images(pictures, preprocess=STUDENT):
    return torch.from_numpy(preprocess.normalise(pictures))


# What a teacher says


@pytest.mark.parametrize("size_px", [32, 48, 24])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_it_says_of_plain_images_what_its_guide_says(squares, size_px, interpolation):
    guide = small_guide(size_px=size_px, interpolation=interpolation, mean=(0.1, 0.2, 0.3), std=(0.5, 0.4, 0.3))
    said = GuideTeacher([guide], NAMES, STUDENT, CPU).log_probs(as_images(squares)).exp()
    expected = np.array([guide.predict(picture).probs for picture in squares])
    assert expected.max() - expected.min() > 0.2, "a guide that tells the squares apart"
    np.testing.assert_allclose(said, expected, atol=2e-3 if size_px == 32 else 0.02)


def test_nearest_is_nearest(squares):
    guide = small_guide(size_px=64, interpolation="nearest")
    said = GuideTeacher([guide], NAMES, STUDENT, CPU).log_probs(as_images(squares)).exp()
    np.testing.assert_allclose(said, [guide.predict(picture).probs for picture in squares], atol=2e-3)


def test_a_grey_guide_teaches_on_colours_and_the_other_way_round(squares):
    grey_guide = small_guide(channels=1, mean=(0.5,), std=(0.5,))
    said = GuideTeacher([grey_guide], NAMES, STUDENT, CPU).log_probs(as_images(squares)).exp()
    np.testing.assert_allclose(said, [grey_guide.predict(picture).probs for picture in squares], atol=0.01)
    grey = squares[..., :1]
    student, guide = Preprocess(size_px=32, channels=1, mean=(0.3,), std=(0.2,)), small_guide()
    said = GuideTeacher([guide], NAMES, student, CPU).log_probs(as_images(grey, student)).exp()
    np.testing.assert_allclose(said, [guide.predict(picture).probs for picture in grey], atol=2e-3)


def test_of_several_it_is_the_mean_of_probabilities_in_the_students_order(squares):
    other = ("red", "blue", "green")
    guides = [small_guide(1), small_guide(2, other), small_guide(3, size_px=24)]
    said = GuideTeacher(guides, NAMES, STUDENT, CPU).log_probs(as_images(squares)).exp()
    alone = [GuideTeacher([g], NAMES, STUDENT, CPU).log_probs(as_images(squares)).exp() for g in guides]
    np.testing.assert_allclose(said, torch.stack(alone).mean(0), atol=1e-6)
    np.testing.assert_allclose(said.sum(1), 1, atol=1e-6)
    in_its_order = GuideTeacher([guides[1]], other, STUDENT, CPU).log_probs(as_images(squares)).exp()
    np.testing.assert_allclose(alone[1], in_its_order[:, [1, 2, 0]], atol=1e-6)
    together = fg.ensemble([replace(g, class_names=g.class_names) for g in guides[:2]])
    expected = [together.predict(picture).probs for picture in squares]
    two = GuideTeacher(guides[:2], NAMES, STUDENT, CPU).log_probs(as_images(squares)).exp()
    np.testing.assert_allclose(two, expected, atol=2e-3)


def test_elsewhere_than_on_a_cpu_its_network_says_what_its_engine_says(squares):
    guide = small_guide()
    pictures = torch.from_numpy(squares).permute(0, 3, 1, 2) / 255
    found, expected = _body(guide, CPU)(pictures), _by_engine(guide.embedder.engine, pictures)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_it_learns_nothing_and_its_statistics_stay(squares):
    teacher = GuideTeacher([small_guide()], NAMES, STUDENT, CPU)
    images = as_images(squares).requires_grad_()
    first, second = teacher.log_probs(images), teacher.log_probs(images)
    assert not first.requires_grad and torch.equal(first, second)


# What a student's loss takes


def test_soft_targets_are_the_divergence_times_the_temperature_squared():
    logits, log_probs = torch.tensor([[1.0, 2.0, 0.5]]), torch.tensor([[0.7, 0.2, 0.1]]).log()
    for temperature in (1.0, 2.0, 5.0):
        teacher = np.array([0.7, 0.2, 0.1]) ** (1 / temperature)
        student = np.exp(np.array([1.0, 2.0, 0.5]) / temperature)
        teacher, student = teacher / teacher.sum(), student / student.sum()
        expected = temperature**2 * (teacher * np.log(teacher / student)).sum()
        found = distillation_loss(logits, log_probs, temperature=temperature, hard=False)
        assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_square_keeps_gradients_of_one_size_at_any_temperature():
    log_probs = torch.tensor([[0.5, 0.3, 0.2]]).log()
    sizes = []
    for temperature in (5.0, 50.0):
        logits = torch.zeros(1, 3, requires_grad=True)
        distillation_loss(logits, log_probs, temperature=temperature, hard=False).backward()
        sizes.append(float(logits.grad.norm()))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_hard_targets_are_the_cross_entropy_with_its_choice():
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 0.0]])
    log_probs = torch.tensor([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]]).log()
    expected = (math.log(math.e + math.e**2 + math.e**0.5) - 0.5 + math.log(3)) / 2
    assert float(distillation_loss(logits, log_probs, temperature=2, hard=True)) == pytest.approx(
        expected, rel=1e-5
    )


class Says:
    """A teacher that says the same of all images."""

    def __init__(self, *probs: float) -> None:
        self.log = torch.tensor([probs]).log()

    def log_probs(self, images: torch.Tensor) -> torch.Tensor:
        return self.log.expand(len(images), -1)


LOGITS = torch.tensor([[1.0, 2.0, 0.5], [0.3, -1.0, 0.0], [0.0, 1.0, 1.0], [2.0, 0.0, 0.1]])
IMAGES = torch.zeros(4, 3, 8, 8)


def objective(labels, teacher=None, **settings):
    return Objective(Recipe(**settings), np.array([int(label) for label in labels]), 3, CPU, teacher)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_parts_are_weighed_as_the_recipe_says(share):
    labels, teacher = torch.tensor([0, 1, 2, 0]), Says(0.5, 0.3, 0.2)
    found = objective(labels, teacher, teacher_weight=share, temperature=3.0)(LOGITS, labels, IMAGES)
    by_labels = F.cross_entropy(LOGITS, labels)
    by_teacher = distillation_loss(LOGITS, teacher.log_probs(IMAGES), temperature=3, hard=False)
    assert float(found) == pytest.approx(float((1 - share) * by_labels + share * by_teacher), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("balance", ["none", "weights"])
def test_photos_without_a_class_leave_the_mean_of_the_labelled_ones_as_it_is(smoothing, balance):
    labels = np.array([0, -1, 2, -1])
    settings = {"teacher_weight": 0.0, "label_smoothing": smoothing, "balance": balance}
    found = objective(labels, Says(0.5, 0.3, 0.2), **settings)(LOGITS, torch.from_numpy(labels), IMAGES)
    labelled = objective([0, 2], **settings | {"teacher_weight": 0.5})
    assert float(found) == pytest.approx(
        float(labelled(LOGITS[[0, 2]], torch.tensor([0, 2]), IMAGES[:2])), rel=1e-5
    )


def test_parts_of_a_batch_add_up_however_labels_fall_on_them():
    labels = np.array([0, 1, -1, -1])
    whole = objective(labels, Says(0.5, 0.3, 0.2))
    parts = [whole(LOGITS[k : k + 2], torch.from_numpy(labels[k : k + 2]), IMAGES[:2]) for k in (0, 2)]
    assert all(map(torch.isfinite, parts)), "a part without any label too"
    together = whole(LOGITS, torch.from_numpy(labels), IMAGES)
    assert float(sum(parts) / 2) == pytest.approx(float(together), rel=1e-5)


def test_the_teacher_teaches_of_photos_without_a_class_too():
    labels, teacher = torch.tensor([-1, -1, 0, -1]), Says(0.5, 0.3, 0.2)
    logits = LOGITS.clone().requires_grad_()
    objective(labels, teacher)(logits, labels, IMAGES).backward()
    assert (logits.grad.abs().sum(1) > 1e-3).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_mixed_targets_count_what_is_of_labelled_photos(smoothing):
    labels = np.array([0, -1, 2, 1])
    mixed = torch.tensor([[0.7, 0, 0], [0, 0, 0.6], [0, 0.5, 0.5], [0, 0, 0]])  # of (0, -1), (-1, 2), (2, 1), none
    found = objective(labels, Says(0.5, 0.3, 0.2), teacher_weight=0.0, label_smoothing=smoothing)(
        LOGITS, mixed, IMAGES
    )
    log = F.log_softmax(LOGITS, dim=1).numpy()
    targets = (1 - smoothing) * mixed.numpy() + smoothing / 3 * mixed.numpy().sum(1, keepdims=True)
    assert float(found) == pytest.approx(-(targets * log).sum() / 4 / 0.75, rel=1e-5)


def test_mixed_targets_of_labelled_photos_are_torchs_own():
    mixed = torch.tensor([[0.7, 0.3, 0], [0, 0.4, 0.6], [0, 0.5, 0.5], [1, 0, 0]])
    found = objective([0, 1, 2, 0], label_smoothing=0.1)(LOGITS, mixed, IMAGES)
    assert float(found) == pytest.approx(float(F.cross_entropy(LOGITS, mixed, label_smoothing=0.1)), rel=1e-6)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_photos_without_a_class_are_mixed_and_their_share_is_of_none(kind):
    augment = Augmentation(Recipe(flip=False, **{kind: 1.0}), STUDENT, num_classes=3, seed=0, device=CPU)
    pictures, labels = torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.tensor([0, -1, 2, -1])
    torch.manual_seed(1)
    _, targets = augment(pictures, labels, step=0, stage=Stage(0, 32, 1.0), place=0, batch_size=4)
    sums = targets.sum(1).tolist()
    share = sums[0]  # of the first photo; the rest is of the last, which has no class
    assert 0 < share < 1 and targets[0, 0] == share and targets[2, 2] == pytest.approx(share)
    assert sums == pytest.approx([share, 1 - share, share, 1 - share])


def test_balanced_sampling_takes_classes_equally_and_others_as_they_come():
    labels = np.array([0] * 60 + [1] * 20 + [-1] * 80)
    order = Order(labels, 160, 0, "sampling")
    drawn = labels[np.concatenate([order.batch(step) for step in range(200)])]
    shares = [float((drawn == k).mean()) for k in (0, 1, -1)]
    assert shares == pytest.approx([0.25, 0.25, 0.5], abs=0.01)
    np.testing.assert_allclose(class_weights(labels, 2), class_weights(labels[:80], 2))


def test_a_photo_without_a_class_has_its_own_fingerprint():
    digests, names = [b"a" * 32, b"b" * 32], ("x", "y")
    prints = {data_fingerprint(digests, np.array(row), names) for row in ([0, -1], [0, 0], [0, 1], [-1, 0])}
    assert len(prints) == 4


# Photos without a class in a set


def test_they_are_learnt_from_and_never_held_out_or_judged_by(image_folder):
    folder = image_folder({"red": 20, "blue": 20, ".": 9})
    (folder / "copy.png").write_bytes(next((folder / "red").iterdir()).read_bytes())
    recipe = Recipe(validation=0.3)
    without = gather_photos(fg.open_images(folder), STUDENT, recipe)
    photos = gather_photos(fg.open_images(folder), STUDENT, recipe, unlabelled=True)
    assert int((photos.learnt.labels == -1).sum()) == 9, "but the copy of one that has a class"
    assert len(photos.labelled) == len(without.learnt) == len(photos.learnt) - 9
    assert photos.labelled.digests == without.learnt.digests
    assert photos.validation.digests == without.validation.digests and (photos.validation.labels >= 0).all()
    assert list(photos.held_out.photo_names) == list(without.held_out.photo_names)
    assert len(photos.seen) == len(without.seen) + 9 and photos.fingerprint != without.fingerprint


def test_of_a_split_set_those_beside_the_parts_and_in_train_are_taken(image_folder):
    counts = {"train/red": 5, "train/blue": 5, "val/red": 4, "val/blue": 4, "test/red": 3, "test/blue": 3}
    folder = image_folder({**counts, "train": 2, "val": 3, "test": 3, "more": 4})
    photos = gather_photos(fg.open_images(folder), STUDENT, Recipe(), unlabelled=True)
    assert (len(photos.labelled), int((photos.learnt.labels == -1).sum())) == (10, 6)
    assert (len(photos.validation), len(photos.held_out)) == (8, 6)


# Runs


SETTINGS = {"epochs": 1, "batch_size": 8, "validation": 0, "flip": False, "precision": "float32"}


@pytest.fixture
def teacher_path(tmp_path):
    return small_guide(5).save(tmp_path / "teacher.guide")


def weights_of(guide: Guide) -> np.ndarray:
    return np.concatenate([tensor.ravel() for tensor in guide.backbone.weights.tensors.values()])


def student(data, **options):
    options = {"settings": SETTINGS, "recipe": "lesson", "size_px": 16, "engine": "torch-cpu", **options}
    return train_network(data, model="lenet" if options["size_px"] >= 32 else "resnet20", **options)


def test_a_student_learns_from_its_teachers_and_says_so(colours, teacher_path, tmp_path):
    second = small_guide(6, ("red", "green", "blue"), size_px=24).save(tmp_path / "second.zip")
    alone, one, two = (student(colours, teachers=t) for t in ((), [teacher_path], [teacher_path, str(second)]))
    hard = student(colours, teachers=[teacher_path], settings={**SETTINGS, "hard": True})
    found = [weights_of(guide) for guide in (alone, one, two, hard)]
    assert all(not np.array_equal(found[i], found[k]) for i in range(4) for k in range(i))
    assert alone.facts["training"]["teachers"] == []
    facts = two.facts["training"]["teachers"]
    assert [t["guide"] for t in facts] == [str(teacher_path), str(second)]
    assert facts[0]["fingerprint"] == guide_fingerprint(fg.load(teacher_path))


def test_a_student_takes_on_its_teachers_ways(colours, teacher_path):
    """Taught by its teacher alone, it says of photos what a teacher with random weights says of them."""
    teacher = fg.load(teacher_path)
    settings = {**SETTINGS, "epochs": 20, "teacher_weight": 1.0, "temperature": 1.0}
    taught = student(colours, teachers=[teacher_path], settings=settings)
    distances = []
    for guide in (taught, student(colours)):
        pairs = zip(guide.predict_many(colours), teacher.predict_many(colours), strict=True)
        distances.append(np.mean([np.abs(a.probs - b.probs).sum() for a, b in pairs]))
    assert distances[0] < 0.5 * distances[1]


def test_photos_without_a_class_are_learnt_from(image_folder, teacher_path):
    folder = image_folder({"red": 12, "blue": 12, "green": 12, ".": 8})
    left_out, taken = (student(folder, teachers=[teacher_path], unlabelled=u) for u in (False, True))
    assert left_out.facts["training"]["num_unlabelled"] == 0
    assert taken.facts["training"]["num_unlabelled"] == 8 and taken.facts["data"]["unlabelled"] == 8
    assert taken.facts["training"]["steps"] == left_out.facts["training"]["steps"] + 1, (
        "an epoch has 8 photos more"
    )
    assert len(taken.seen) == len(left_out.seen) + 8
    assert taken.facts["data"]["num_train"] == left_out.facts["data"]["num_train"]
    assert taken.facts["data"]["fingerprint"] != left_out.facts["data"]["fingerprint"]
    mixed = {**SETTINGS, "mixup": 0.5, "balance": "sampling", "label_smoothing": 0.1, "validation": 0.2}
    again = student(folder, teachers=[teacher_path], unlabelled=True, settings=mixed)
    assert again.facts["training"]["num_unlabelled"] == 8


@pytest.fixture
def interrupted(colours, teacher_path, tmp_path):
    """A run that stopped before its first step."""

    def stop(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        student(colours, teachers=[teacher_path], output=tmp_path / "run", on_epoch=stop)
    return tmp_path / "run"


def test_a_resumed_run_finds_its_teacher_again(interrupted, colours, teacher_path, tmp_path, monkeypatch):
    job = load_job(interrupted)
    assert job.teachers == (str(teacher_path),)
    assert job.teacher_fingerprints == (guide_fingerprint(fg.load(teacher_path)),)
    monkeypatch.chdir("/")
    whole = student(colours, teachers=[teacher_path])
    np.testing.assert_array_equal(weights_of(resume(interrupted)), weights_of(whole))


def test_a_teacher_that_changed_or_went_is_named(interrupted, teacher_path):
    small_guide(7).save(teacher_path)
    message = (
        r"teacher\.guide has changed since this run began to learn from it \(its fingerprint was [0-9a-f]{12}"
    )
    with pytest.raises(TrainingError, match=message):
        resume(interrupted)
    teacher_path.rename(teacher_path.with_name("elsewhere.guide"))
    message = r"this run learns from .*teacher\.guide, which can't be loaded any more \(.*does not exist"
    with pytest.raises(TrainingError, match=message):
        resume(interrupted)


def test_what_a_guides_answers_depend_on_is_in_its_fingerprint():
    guide = small_guide()
    others = [
        small_guide(1), small_guide(size_px=24), small_guide(names=("blue", "red", "green")),
        replace(guide, head=LinearHead(guide.head.weight, guide.head.bias + 1)),
    ]  # fmt: skip
    assert len({guide_fingerprint(g) for g in (guide, *others)}) == 5
    assert guide_fingerprint(small_guide()) == guide_fingerprint(guide)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("blue", "green"),
            r"the teacher .*x\.guide lacks the class 'red' of the photos to learn from; a teacher must",
        ),
        (
            (*NAMES, "odd"),
            r"the teacher .*x\.guide knows the class 'odd', unlike the photos to learn from; a teacher",
        ),
    ],
)
def test_a_teacher_of_other_classes_is_refused_with_the_difference(tmp_path, names, message):
    path = small_guide(names=names).save(tmp_path / "x.guide")
    with pytest.raises(TrainingError, match=message):
        load_teachers([str(path)], NAMES)


def test_wrong_calls_are_refused(colours, teacher_path, tmp_path):
    with pytest.raises(GuideError, match=r"none\.guide does not exist"):
        student(colours, teachers=[tmp_path / "none.guide"])
    with pytest.raises(
        TypeError, match=r"teachers is '.*teacher\.guide'; it must be a list of paths, even of one"
    ):
        student(colours, teachers=teacher_path)
    with pytest.raises(
        TrainingError, match=r"teacher\.guide is the teacher, which its student would replace; choose"
    ):
        student(colours, teachers=[teacher_path], output=teacher_path)
    assert fg.load(teacher_path).class_names == NAMES
    with pytest.raises(
        RecipeError, match="photos without a class are learnt from by a teacher's answers; add --teach"
    ):
        student(colours, unlabelled=True)


@pytest.mark.parametrize(("name", "value"), [("hard", True), ("temperature", 4.0), ("teacher_weight", 0.9)])
def test_settings_of_a_teacher_want_one(colours, name, value):
    said = json.dumps(value)
    with pytest.raises(RecipeError, match=f"{name} is {said}, which is of learning from a teacher; add --teacher"):
        student(colours, settings={**SETTINGS, name: value})


def test_choices_have_no_temperature():
    with pytest.raises(
        RecipeError, match="hard is true, and temperature 4; a teacher's choices have none: leave one"
    ):
        Recipe(hard=True, temperature=4)
