"""On real photos: probabilities that are true, sets that hold the truth, and photos of something else."""

import numpy as np

import fieldguide as fg


def test_a_guide_to_flowers_knows_the_limits_of_its_answers(photos):
    guide = fg.train(photos / "flowers")
    calibration = guide.evaluation.calibration
    assert calibration.error < 0.05 and 0.01 < calibration.error_by_chance < 0.05
    flowers = list(guide.predict_many(photos / "flowers" / "val", coverage=0.95))
    truth = [answer.photo.split("/")[-2] for answer in flowers]
    assert np.mean([label in answer.classes for label, answer in zip(truth, flowers, strict=True)]) > 0.92
    assert np.mean([len(answer.classes) for answer in flowers]) < 1.5
    assert np.mean([answer.is_unknown for answer in flowers]) < 0.1
    cats = [photos / "cats_dogs" / "cat" / f"cat.{number}.jpg" for number in range(0, 700, 7)]
    strange = list(guide.predict_many([path for path in cats if path.exists()]))
    assert len(strange) > 30 and np.mean([answer.is_unknown for answer in strange]) > 0.95
    least_known, most_strange = (
        np.quantile([answer.familiarity for answer in answers], share)
        for answers, share in ((flowers, 0.1), (strange, 0.9))
    )
    assert least_known > most_strange
