"""Recipes: the files, the settings and what is refused."""

import shlex
from dataclasses import fields, replace

import pytest

from fieldguide.errors import RecipeError, UnknownNameError
from fieldguide.models import MODELS
from fieldguide.training import recipe as module
from fieldguide.training.recipe import Recipe, describe_settings, load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_file_loads_and_states_what_it_is_for_and_its_command(name):
    stated = load_recipe(name)
    assert stated.name == name and stated.stated and stated.summary and "\n" not in stated.summary
    words = shlex.split(stated.command)
    assert words[:2] in (["fieldguide", "train"], ["fieldguide", "pretrain"])
    if "--model" in words:
        assert words[words.index("--model") + 1] in MODELS
    if words[1] == "train":
        assert "--finetune" in words if name == "finetune" else words[words.index("--recipe") + 1] == name
    assert set(stated.stated) <= {f.name for f in fields(Recipe)}
    changed = {key for key, value in stated.recipe.to_dict().items() if value != getattr(Recipe(), key)}
    assert changed <= set(stated.stated), "only what the file states differs from the defaults"


def test_the_recipes_of_the_field_are_there():
    assert {"lesson", "baseline", "strong", "progressive", "plateau", "finetune"} <= set(recipe_names())
    strong = load_recipe("strong").recipe
    assert strong.optimiser == "adamw" and strong.ema and strong.mixup and strong.cutmix and strong.rand_augment
    assert strong.erasing and strong.drop_path_rate > 0 and strong.label_smoothing
    assert load_recipe("plateau").recipe.schedule == "plateau"
    assert load_recipe("progressive").recipe.stages == 4


def test_a_single_stage_is_one_of_full_size_and_strength():
    progressive = load_recipe("progressive").recipe
    single = progressive.changed({"stages": "1"})
    assert (single.stages, single.first_size, single.first_strength) == (1, 1, 1)
    assert progressive.changed({"stages": 2}).first_size == 0.5
    with pytest.raises(RecipeError, match="first_size and first_strength are of progressive learning"):
        progressive.changed({"stages": 1, "first_size": 0.75})


def test_what_plays_no_part_beside_another_optimiser_or_schedule_is_the_default_s():
    plateau = load_recipe("plateau").recipe
    assert not plateau.nesterov and plateau.changed({"optimiser": "adam"}).nesterov
    assert plateau.changed({"optimiser": "sgd"}) == plateau
    patient = Recipe(schedule="plateau", plateau_patience=5, plateau_factor=2)
    changed = patient.changed({"schedule": "cosine"})
    assert (changed.plateau_patience, changed.plateau_factor) == (3, 10)
    with pytest.raises(RecipeError, match="plateau_patience is 4, which is of schedule=plateau"):
        patient.changed({"schedule": "cosine", "plateau_patience": 4})


def test_settings_are_described_in_a_line_each():
    described = {name: (default, about) for name, default, about in describe_settings()}
    assert described.keys() == {f.name for f in fields(Recipe)}
    assert all(default == getattr(Recipe(), name) for name, (default, _) in described.items())
    assert all(about and "\n" not in about and not about.endswith(".") for _, about in described.values())


@pytest.mark.parametrize(
    ("name", "hint"),
    [("strng", "no recipe is called 'strng', did you mean 'strong'"), ("zzz", "'zzz'; known: baseline, .*strong")],
)
def test_an_unknown_recipe_is_told_the_near_names(name, hint):
    with pytest.raises(UnknownNameError, match=hint):
        load_recipe(name)


def test_a_file_with_a_setting_that_is_not_allowed_is_refused(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    text = 'summary = "s"\ncommand = "c"\nresult = ""\n[settings]\nlr = -1\n'
    (tmp_path / "recipes" / "odd.toml").write_text(text)
    monkeypatch.setattr(module, "files", lambda package: tmp_path)
    with pytest.raises(RecipeError, match=r"^the recipe odd is refused: lr is -1; it must be above 0"):
        load_recipe("odd")


def test_a_file_of_one_s_own_is_a_recipe(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('summary = "mine"\n[settings]\nlr = 1e-3\noptimiser = "adam"\nepochs = 30\nflip = false\n')
    stated = load_recipe(str(path))
    assert (stated.name, stated.summary, stated.command) == (str(path), "mine", "")
    assert stated.stated == ("lr", "optimiser", "epochs", "flip")
    assert stated.recipe == Recipe(lr=1e-3, optimiser="adam", epochs=30, flip=False)
    path.write_text("[settings]\nlr = 0.5\n")
    assert load_recipe(str(path)).recipe.lr == 0.5, "what is in it now"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"the recipe .*my\.toml can't be read: No such file or directory"),
        ("lr = ", r"the recipe .*my\.toml is no TOML file: Invalid value \(at end of document\)"),
        ("lr = 1", r"the recipe .*my\.toml has no table \[settings\]; it holds lines such as lr = 0\.1"),
        ("settings = 3", r"the recipe .*my\.toml has no table \[settings\]"),
        (
            "lr = 1\n[settings]",
            r"the recipe .*my\.toml says lr outside \[settings\]; only summary, command, result may stand there",
        ),
        ("[settings]\nlr = [1]", r"the recipe .*my\.toml is refused: lr is \[1\]; it must be a number"),
        ("[settings]\nepoch = 1", r"the recipe .*my\.toml is refused: no setting .* called 'epoch', did you mean"),
        ("[settings]\nfirst_size = 0.5", r"the recipe .*my\.toml is refused: first_size and first_strength are"),
    ],
    ids=["missing", "no TOML", "no table", "a number", "outside", "a list", "unknown", "contradiction"],
)
def test_a_mistake_in_a_file_of_one_s_own_is_one_line_that_names_it(tmp_path, text, message):
    path = tmp_path / "my.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "1.5", 1.5),
        ("epochs", 2, 2.0),
        ("batch_size", " 16 ", 16),
        ("nesterov", "no", False),
        ("nesterov", "On", True),
        ("flip", "1", True),
        ("flip", False, False),
        ("optimiser", "adamw", "adamw"),
        ("freeze", "stage2", "stage2"),
        ("lr", "3e-4", 3e-4),
    ],
)
def test_text_is_read_as_the_setting_s_own_type(name, text, value):
    changed = Recipe().changed({name: text})
    assert getattr(changed, name) == value and type(getattr(changed, name)) is type(value)
    assert changed == replace(Recipe(), **{name: value}), "and nothing else changes"


def test_settings_survive_their_way_through_a_dictionary():
    strong = load_recipe("strong").recipe
    assert Recipe().changed(strong.to_dict()) == strong


REFUSED = {
    ("epochs", "0"): "epochs is 0; it must be above 0",
    ("epochs", "nan"): "epochs is nan; it must be above 0 and finite",
    ("epochs", "inf"): "epochs is inf; it must be above 0 and finite",
    ("epochs", "ten"): "epochs is 'ten'; it must be a number",
    ("batch_size", "0"): "batch_size is 0; it must be at least 1",
    ("batch_size", "8.5"): "batch_size is '8.5'; it must be a whole number",
    ("accumulate", "0"): "accumulate is 0; it must be at least 1",
    ("optimiser", "sdg"): "optimiser is 'sdg'; it must be one of sgd, adam, adamw",
    ("lr", "inf"): "lr is inf; it must be above 0 and finite",
    ("momentum", "1"): "momentum is 1; it must be at least 0 and at most 0.999",
    ("nesterov", "maybe"): "nesterov is 'maybe'; it must be true or false",
    ("weight_decay", "-1"): "weight_decay is -1; it must be at least 0",
    ("clip_norm", "-0.5"): "clip_norm is -0.5; it must be at least 0",
    ("schedule", "step"): "schedule is 'step'; it must be one of constant, cosine, linear, plateau",
    ("warmup_epochs", "-1"): "warmup_epochs is -1; it must be at least 0",
    ("plateau_patience", "-1"): "plateau_patience is -1; it must be at least 0",
    ("plateau_factor", "1"): "plateau_factor is 1; it must be above 1",
    ("label_smoothing", "1"): "label_smoothing is 1; it must be at least 0 and at most 0.9",
    ("dropout", "1"): "dropout is 1; it must be at least -1 and at most 0.99",
    ("drop_path_rate", "-2"): "drop_path_rate is -2; it must be at least -1 and at most 0.99",
    ("ema", "1"): "ema is 1; it must be at least 0 and at most 0.99999",
    ("balance", "even"): "balance is 'even'; it must be one of none, weights, sampling",
    ("min_scale", "0"): "min_scale is 0; it must be above 0 and at most 1",
    ("shift", "0.6"): "shift is 0.6; it must be at least 0 and at most 0.5",
    ("rand_augment", "31"): "rand_augment is 31; it must be at least 0 and at most 30",
    ("erasing", "1.5"): "erasing is 1.5; it must be at least 0 and at most 1",
    ("mixup", "-1"): "mixup is -1; it must be at least 0",
    ("cutmix", "-1"): "cutmix is -1; it must be at least 0",
    ("jitter", "3"): "jitter is 3; it must be at least 0 and at most 2",
    ("grey", "2"): "grey is 2; it must be at least 0 and at most 1",
    ("target_decay", "2"): "target_decay is 2; it must be at least 0 and at most 1",
    ("stages", "0"): "stages is 0; it must be at least 1",
    ("first_size", "0"): "first_size is 0; it must be above 0 and at most 1",
    ("first_strength", "2"): "first_strength is 2; it must be at least 0 and at most 1",
    ("validation", "0.6"): "validation is 0.6; it must be at least 0 and at most 0.5",
    ("layer_decay", "0"): "layer_decay is 0; it must be above 0 and at most 1",
    ("batch_norm", "eval"): "batch_norm is 'eval'; it must be one of train, frozen",
    ("teacher_weight", "2"): "teacher_weight is 2; it must be at least 0 and at most 1",
    ("temperature", "0"): "temperature is 0; it must be above 0",
    ("precision", "float16"): "precision is 'float16'; it must be one of auto, float32, bfloat16",
    ("epoch", "3"): "no setting of a recipe is called 'epoch', did you mean 'epochs'",
    ("zzz", "3"): "no setting of a recipe is called 'zzz'; `fieldguide recipes baseline` lists them",
}


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=lambda text: text)
def test_what_is_not_allowed_is_refused_with_its_value(name, value):
    with pytest.raises(RecipeError) as caught:
        Recipe().changed({name: value})
    assert str(caught.value).startswith(REFUSED[name, value])


def test_every_setting_with_limits_refuses_something():
    limited = {f.name for f in fields(Recipe) if any(f.metadata[key] is not None for key in list(f.metadata)[1:])}
    assert limited <= {name for name, _ in REFUSED}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"batch_size": 10, "accumulate": 4},
            "accumulate is 4, which does not divide batch_size, 10; change one of them",
        ),
        (
            {"warmup_epochs": 3, "epochs": 2.5},
            "warmup_epochs is 3, and epochs 2.5; the warm-up must end before the training: change one of them",
        ),
        (
            {"schedule": "plateau", "validation": 0},
            "schedule is plateau, which watches the validation loss, and validation is 0; set validation=0.1",
        ),
        ({"first_size": 0.5}, "first_size and first_strength are of progressive learning, and stages is 1; set "),
        ({"first_strength": 0.5}, "first_size and first_strength are of progressive learning, and stages is 1"),
        (
            {"mixup": 0.2, "balance": "weights"},
            "mixup mixes photos of two classes, and balance=weights weighs photos by their one class; set "
            "balance=sampling, or mixup=0 and cutmix=0",
        ),
        (
            {"deterministic": True, "precision": "bfloat16"},
            "deterministic is true, which takes float32, and precision bfloat16; leave one of them out",
        ),
        ({"cutmix": 1, "balance": "weights"}, "cutmix mixes photos of two classes, and balance=weights weighs "),
        (
            {"optimiser": "adamw", "momentum": 0.8},
            "momentum is 0.8, which is of optimiser=sgd, and optimiser is adamw; set optimiser=sgd, or leave "
            "momentum out",
        ),
        (
            {"optimiser": "adam", "nesterov": False},
            "nesterov is false, which is of optimiser=sgd, and optimiser is ",
        ),
        (
            {"plateau_patience": 1},
            "plateau_patience is 1, which is of schedule=plateau, and schedule is cosine; set ",
        ),
        ({"plateau_factor": 2}, "plateau_factor is 2.0, which is of schedule=plateau, and schedule is cosine"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_contradictions_are_refused_by_name(changes, message):
    with pytest.raises(RecipeError) as caught:
        Recipe().changed(changes)
    assert str(caught.value).startswith(message)
    allowed = {
        "accumulate": 1,
        "epochs": 9,
        "validation": 0.1,
        "stages": 2,
        "balance": "none",
        "precision": "auto",
        "optimiser": "sgd",
        "schedule": "plateau",
    }
    Recipe().changed({**changes, **allowed})


@pytest.mark.parametrize(("epochs", "warmup"), [("5", 0.5), (10, 1), (40, 1)])
def test_the_warm_up_shrinks_with_the_epochs(epochs, warmup):
    recipe = Recipe(epochs=10, warmup_epochs=1)
    assert recipe.changed({"epochs": epochs}).warmup_epochs == warmup
    assert recipe.changed({"epochs": epochs, "warmup_epochs": 2}).warmup_epochs == 2
