"""Fine-tuning: what is frozen, and which of the two guides is kept."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load as load_safetensors

import fieldguide as fg
from fieldguide.errors import RecipeError, StoppedError, TrainingError, UnknownNameError
from fieldguide.head import LinearHead
from fieldguide.head.logistic_regression import fit_head
from fieldguide.models import MODELS, create_model
from fieldguide.training.finetuning import compare, freeze_parts, pretrained_network
from fieldguide.training.recipe import Recipe
from fieldguide.weights.tensors import serialise

QUICK = {"epochs": 1, "batch_size": 8, "validation": 0.3, "precision": "float32"}


def body(name="mobilenet_v2", **arguments):
    with torch.device("meta"):
        return create_model(name, num_classes=0, **({"width": 0.25} if name == "mobilenet_v2" else arguments))


def frozen(network):
    return {name for name, parameter in network.named_parameters() if not parameter.requires_grad}


def test_parts_are_frozen_by_name():
    network = body()
    names = {name for name, _ in network.named_parameters()}
    freeze_parts(network, "none")
    assert frozen(network) == set()
    freeze_parts(network, "stage1")
    first = {name for name in names if name.startswith(("stem", "stages.0."))}
    assert frozen(network) == first and first
    freeze_parts(network, "stages.[12], stem*")
    assert frozen(network) == first | {name for name in names if name.startswith(("stages.1.", "stages.2."))}
    freeze_parts(network, "features")
    assert frozen(network) == names


@pytest.mark.parametrize("name", MODELS.names())
def test_every_network_s_stages_can_be_frozen(name):
    network = body(name)
    if not len(network.stages):
        with pytest.raises(RecipeError, match="freeze is stage1, but it has no stages"):
            freeze_parts(network, "stage1")
        return
    freeze_parts(network, f"stage{len(network.stages)}")
    assert frozen(network) >= {n for n, _ in network.named_parameters() if n.startswith(("stem.", "stages."))}
    assert not any(parameter.requires_grad for parameter in network.stages.parameters())


def test_stages_and_names_that_there_are_none_of_are_refused():
    count = len(body().stages)
    message = (
        f"freeze is stage9, but its stages are 1 to {count}; set freeze to one of these, or to names of modules"
    )
    with pytest.raises(RecipeError, match=message):
        freeze_parts(body(), "stage9")
    with pytest.raises(RecipeError, match="freeze is stage0, but its stages are 1 to"):
        freeze_parts(body(), "stage0")
    with pytest.raises(RecipeError, match="freeze is stage1, but it has no stages"):
        freeze_parts(body("timm:resnet10t"), "stage1")
    with pytest.raises(UnknownNameError, match="nothing to freeze is called 'steem', did you mean 'stem'"):
        freeze_parts(body(), "steem")


def test_a_network_begins_as_the_frozen_guide_answers(colour_guide):
    backbone = colour_guide.backbone
    head = LinearHead(np.ones((3, 1280), np.float32), np.arange(3, dtype=np.float32))
    network = pretrained_network(backbone, Recipe(freeze="features"), head).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        features = backbone.build()(images)
        torch.testing.assert_close(network(images), features.sum(dim=1, keepdim=True) + torch.arange(3.0))
    assert frozen(network) == {f"body.{name}" for name, _ in network.body.named_parameters()}


def test_pictures_of_a_stage_that_the_backbone_can_not_take_are_refused(colour_guide):
    head = LinearHead(np.ones((3, 1280), np.float32), np.zeros(3, np.float32))
    with pytest.raises(
        RecipeError,
        match=r"stage 1 of 2 has pictures of 24 px, which efficientnet_lite0 can't take \(images are 24x24",
    ):
        pretrained_network(colour_guide.backbone, Recipe(stages=2, first_size=0.1), head)


def answers(right):
    """Probabilities of two classes, of which the first is the true one."""
    return np.where(np.array(right)[:, None], [0.75, 0.25], [0.25, 0.75]).astype(np.float32)


@pytest.mark.parametrize(
    ("only_finetuned", "only_frozen", "kept"),
    [(5, 0, "fine-tuned"), (13, 4, "fine-tuned"), (4, 0, "frozen"), (5, 2, "frozen"), (12, 4, "frozen"),
     (0, 0, "frozen"), (0, 9, "frozen")],
)  # fmt: skip
def test_a_lead_of_more_than_chance_is_kept(only_finetuned, only_frozen, kept):
    both, neither = 30, 10
    finetuned = [True] * both + [False] * neither + [True] * only_finetuned + [False] * only_frozen
    frozen = [True] * both + [False] * neither + [False] * only_finetuned + [True] * only_frozen
    labels = np.zeros(len(frozen), np.int64)
    found = compare(answers(frozen), answers(finetuned), labels, ("a", "b"))
    assert found["kept"] == kept and found["num_photos"] == len(labels)
    for name, right, only in (("frozen", frozen, only_frozen), ("finetuned", finetuned, only_finetuned)):
        log_loss = -np.log(np.where(right, 0.75, 0.25)).mean()
        assert found[name] == {"top1": np.mean(right), "log_loss": pytest.approx(log_loss), "only_right": only}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a small body, with random numbers for what was learnt."""
    torch.manual_seed(0)
    tensors = {name: t.numpy() for name, t in create_model("resnet20", num_classes=0).state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "resnet20.safetensors"
    path.write_bytes(serialise(tensors))
    return path


def finetune(data, weights, *, seed=0, **settings):
    how = {"backbone": "resnet20", "weights": weights, "size_px": 32, "engine": "torch-cpu", "seed": seed}
    return fg.finetune(data, **how, settings={**QUICK, **settings})


def test_where_fine_tuning_is_no_better_the_frozen_guide_stands_and_says_so(colours, weights, tmp_path):
    guide = finetune(colours, weights, lr=1e-30)
    training = guide.facts["training"]
    assert training["kind"] == "fine-tuning" and training["comparison"]["kept"] == "frozen"
    assert training["comparison"]["finetuned"]["top1"] == training["comparison"]["frozen"]["top1"]
    plain = fg.train(colours, backbone="resnet20", weights=weights, size_px=32, engine="torch-cpu")
    model = [g.save(tmp_path / f"{n}.guide") / "model.safetensors" for n, g in enumerate((guide, plain))]
    assert model[0].read_bytes() == model[1].read_bytes(), "of all training photos, as without fine-tuning"
    assert guide.facts["head"] == plain.facts["head"] and "curves.png" in guide.records
    assert guide.evaluation.top1 == plain.evaluation.top1
    assert training["verdict"].startswith("The fine-tuned network ")


def test_where_it_is_better_it_is_kept(weights, tmp_path):
    how = {"lr": 0.003, "epochs": 3, "label_smoothing": 0, "layer_decay": 1, "batch_norm": "train", "flip": False}
    guide = finetune("digits", weights, **how)
    training = guide.facts["training"]
    comparison = training["comparison"]
    assert comparison["kept"] == "fine-tuned"
    ours, theirs = ((comparison[kind]["top1"], -comparison[kind]["log_loss"]) for kind in ("finetuned", "frozen"))
    assert ours > theirs and training["num_validation"] == comparison["num_photos"] > 3
    assert "head" not in guide.facts and training["verdict"]
    again = fg.load(guide.save(tmp_path / "x.guide"))
    assert again.evaluate("digits").top1 == guide.evaluation.top1


def stopped(data, weights, target, **settings):
    """Leave a run as Ctrl-C does after its first step."""

    def on_progress(stage, done, total):
        if stage == "steps" and done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    how = {"backbone": "resnet20", "weights": weights, "size_px": 32, "engine": "torch-cpu", "output": target}
    with pytest.raises(StoppedError):
        fg.finetune(data, **how, settings={**QUICK, **settings}, on_progress=on_progress)


def test_it_resumes_to_the_bit(weights, tmp_path):
    how = {"lr": 0.003, "epochs": 3, "label_smoothing": 0, "layer_decay": 1, "batch_norm": "train", "flip": False}
    whole = finetune("digits", weights, **how)
    assert whole.facts["training"]["comparison"]["kept"] == "fine-tuned"
    stopped("digits", weights, tmp_path / "run", **how)
    resumed = fg.resume(tmp_path / "run")
    model = [g.save(tmp_path / f"{n}.guide") / "model.safetensors" for n, g in enumerate((whole, resumed))]
    assert model[0].read_bytes() == model[1].read_bytes()
    assert resumed.facts["training"]["comparison"] == whole.facts["training"]["comparison"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_over_and_over_it_ends_with_the_same_bits(colours, weights, tmp_path):
    settings = {**QUICK, "epochs": 4, "batch_norm": "train", "lr": 0.01}
    finetune(colours, weights, **settings, seed=7).save(tmp_path / "whole")
    how = {"backbone": "resnet20", "weights": str(weights), "settings": settings}
    script = Path(__file__).with_name("killed_over_and_over.py")
    arguments = [colours, tmp_path / "run", json.dumps(how), 3, 8]
    ended = subprocess.run(
        [sys.executable, script, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0 and "Traceback" not in ended.stderr, ended.stderr
    endings = json.loads(ended.stdout)
    assert endings.count(-signal.SIGKILL) >= 3 and endings[-1] == 0
    whole, run = (tmp_path / name for name in ("whole", "run"))
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert {path.name for path in run.iterdir()} == {path.name for path in whole.iterdir()}
    facts = [json.loads((place / "guide.json").read_text())["training"]["comparison"] for place in (run, whole)]
    assert facts[0] == facts[1]


def test_weights_that_changed_meanwhile_are_noticed(colours, weights, tmp_path):
    own = tmp_path / "own.safetensors"
    own.write_bytes(weights.read_bytes())
    stopped(colours, own, tmp_path / "run")
    tensors = {name: 2 * tensor for name, tensor in load_safetensors(own.read_bytes()).items()}
    own.write_bytes(serialise(tensors))
    message = (
        rf"{own} has changed since this run began to fine-tune it \(its fingerprint was [0-9a-f]{{12}}, and is "
        r"[0-9a-f]{12}\); put it back, or start a new run"
    )
    with pytest.raises(TrainingError, match=message):
        fg.resume(tmp_path / "run")
    own.write_bytes(weights.read_bytes())
    fg.resume(tmp_path / "run")


def test_frozen_parts_come_out_as_they_went_in(colours, weights, monkeypatch):
    monkeypatch.setattr("fieldguide.training.finetuning.leads", lambda ours, theirs: True)
    guide = finetune(
        colours, weights, lr=0.003, epochs=4, label_smoothing=0, ema=0, freeze="stage1", layer_decay=1
    )
    before = create_model("resnet20", num_classes=0)
    from safetensors.torch import load_file

    before.load_state_dict(load_file(weights))
    changed = {
        name
        for name, tensor in before.state_dict().items()
        if not np.array_equal(tensor.numpy(), guide.backbone.weights.tensors[name])
    }
    assert changed and not any(name.startswith(("stem", "stages.0.")) for name in changed)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"validation": 0},
            "validation is 0, but what is fine-tuned is kept only if it does better on validation photos; set "
            "validation=0.1",
        ),
        ({"freeze": "stage99"}, "freeze is stage99, but its stages are 1 to 3; set freeze to one of these"),
    ],
    ids=["no validation", "too many stages"],
)
def test_recipes_that_suit_no_fine_tuning_are_refused(colours, weights, settings, message):
    with pytest.raises(RecipeError, match=message):
        finetune(colours, weights, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"freeze": "stage1"},
            "freeze is stage1, but a network from nothing has nothing worth freezing; add --fine",
        ),
        ({"batch_norm": "frozen"}, "batch_norm is frozen, but a network from nothing has nothing worth freezing"),
        (
            {"target_decay": 0.9},
            "target_decay is 0.9, which is of learning without labels; leave it out, or take the command pretrain",
        ),
    ],
    ids=["freeze", "batch_norm", "target_decay"],
)
def test_what_is_of_other_kinds_of_runs_is_refused_from_nothing(settings, message):
    with pytest.raises(RecipeError, match=message):
        fg.train_network("digits", model="mlp", settings=settings)


@pytest.mark.parametrize("balance", ["none", "weights", "sampling"])
def test_the_head_and_the_frozen_guide_are_balanced_where_the_recipe_balances(
    image_folder, weights, monkeypatch, balance
):
    told = []

    def fit(*arguments, balanced, **options):
        told.append(balanced)
        return fit_head(*arguments, balanced=balanced, **options)

    monkeypatch.setattr("fieldguide.training.finetuning.fit_head", fit)
    folder = image_folder({"red": 24, "blue": 8})
    guide = finetune(folder, weights, lr=1e-30, balance=balance)
    assert guide.facts["training"]["comparison"]["kept"] == "frozen"
    assert told == [balance != "none"] == [guide.facts["head"]["balanced"]]
