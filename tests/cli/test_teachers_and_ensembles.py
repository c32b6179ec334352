"""``--teacher`` of train, and ``--with`` of evaluate and predict, as processes."""

import json

import pytest

import fieldguide as fg

STUDENT = (
    "--model",
    "resnet20",
    "--size",
    "16",
    "--epochs",
    "1",
    "--set",
    "validation=0",
    "--engine",
    "torch-cpu",
)


def test_a_student_learns_from_a_teacher_and_from_photos_without_a_class(run, image_folder, saved_guide, tmp_path):
    folder = image_folder({"red": 12, "blue": 12, "green": 12, ".": 7})
    (folder / "notes.txt").write_text("no photo")
    target = tmp_path / "student.guide"
    teacher = ("--teacher", saved_guide, "--teacher", saved_guide, "--hard")
    result = run("train", folder, "-o", target, *STUDENT, *teacher, "--unlabelled")
    assert result.returncode == 0, result.stderr
    assert "photos without a class, learnt from by the teacher's answers: 7\n" in result.stderr
    assert "  notes.txt: not an image" in result.stderr and "files without a class, left out: 1\n" in result.stderr
    training = fg.load(target).facts["training"]
    assert [t["guide"] for t in training["teachers"]] == [str(saved_guide)] * 2
    assert training["recipe"]["hard"] is True and training["num_unlabelled"] == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--hard",), "--hard is of learning from a teacher; add --teacher GUIDE"),
        (("--unlabelled",), "--unlabelled is of learning from a teacher; add --teacher GUIDE"),
        (("--teacher", "no.guide"), "no.guide does not exist"),
    ],
)
def test_what_a_teacher_needs_is_said_in_one_line(run, colours, tmp_path, arguments, message):
    result = run("train", colours, "-o", tmp_path / "x.guide", *STUDENT, *arguments)
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "x.guide").exists()


def test_a_teacher_is_for_training_a_network(run, colours, saved_guide, tmp_path):
    result = run("train", colours, "-o", tmp_path / "x.guide", "--teacher", saved_guide)
    assert result.returncode == 2
    assert "--teacher is for training a network; add --finetune, or --model NAME" in result.stderr


@pytest.fixture
def second(colour_guide, tmp_path):
    """Another guide to the same classes: it is less sure, and saw the same photos."""
    from dataclasses import replace

    from fieldguide.head import LinearHead

    head = LinearHead(colour_guide.head.weight * 0.2, colour_guide.head.bias)
    return replace(colour_guide, head=head).save(tmp_path / "second.guide")


def test_several_guides_evaluate_together(run, saved_guide, second, colours):
    result = run("evaluate", saved_guide, colours, "--with", second, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    expected = fg.ensemble([saved_guide, second]).evaluate(colours)
    assert json.loads(result.stdout) == json.loads(json.dumps(expected.to_dict()))
    left_out = f"{expected.left_out} photos were left out: one of these guides was trained on them\n"
    assert run("evaluate", saved_guide, colours, "--with", second).stderr == left_out


def test_several_guides_predict_together(run, saved_guide, second, colours):
    photo = colours / "red" / "03.png"
    result = run("predict", saved_guide, photo, "--with", second, "--json", "--top", "3")
    assert (result.returncode, result.stderr) == (0, "")
    answers = {a["class"]: a["probability"] for a in json.loads(result.stdout)["predictions"][0]["answers"]}
    expected = dict(fg.ensemble([saved_guide, second]).predict(photo).top(3))
    assert answers == pytest.approx(expected, abs=1e-6)


def test_guides_to_other_classes_are_refused(run, saved_guide, image_folder, tmp_path):
    other = fg.train(image_folder({"red": 5, "blue": 5})).save(tmp_path / "two.guide")
    result = run("predict", saved_guide, "x.jpg", "--with", other)
    assert result.returncode == 2 and "two.guide lacks the class 'green' of the first guide" in result.stderr
