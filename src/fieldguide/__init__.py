"""fieldguide: a folder of photos becomes a guide, a small self-contained image classifier.

    import fieldguide as fg
    guide = fg.train("photos/")
    guide.predict("rose.jpg").top(3)

The names below are imported when they are first used, so that ``import fieldguide`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fieldguide.cost import summary as summary
    from fieldguide.data import ImageSet as ImageSet
    from fieldguide.data import Preprocess as Preprocess
    from fieldguide.data import SkippedPhoto as SkippedPhoto
    from fieldguide.data import open_images as open_images
    from fieldguide.doctor import check as check
    from fieldguide.ensembles import ensemble as ensemble
    from fieldguide.errors import FieldguideError as FieldguideError
    from fieldguide.evaluate import Evaluation as Evaluation
    from fieldguide.feature_maps import features as features
    from fieldguide.guide import Guide as Guide
    from fieldguide.guide import Prediction as Prediction
    from fieldguide.guide import load as load
    from fieldguide.models import create_model as create_model
    from fieldguide.reports import report as report
    from fieldguide.training import train as train
    from fieldguide.training.find_lr import find_lr as find_lr
    from fieldguide.training.pretraining import pretrain as pretrain
    from fieldguide.training.pretraining import resume_pretraining as resume_pretraining
    from fieldguide.training.runs import finetune as finetune
    from fieldguide.training.runs import resume as resume
    from fieldguide.training.runs import train_network as train_network
    from fieldguide.weights import load_model as load_model

_MODULES = {
    "Evaluation": "fieldguide.evaluate",
    "FieldguideError": "fieldguide.errors",
    "Guide": "fieldguide.guide",
    "ImageSet": "fieldguide.data",
    "Prediction": "fieldguide.guide",
    "Preprocess": "fieldguide.data",
    "SkippedPhoto": "fieldguide.data",
    "check": "fieldguide.doctor",
    "create_model": "fieldguide.models",
    "ensemble": "fieldguide.ensembles",
    "features": "fieldguide.feature_maps",
    "find_lr": "fieldguide.training.find_lr",
    "finetune": "fieldguide.training.runs",
    "load": "fieldguide.guide",
    "load_model": "fieldguide.weights",
    "open_images": "fieldguide.data",
    "pretrain": "fieldguide.training.pretraining",
    "report": "fieldguide.reports",
    "resume": "fieldguide.training.runs",
    "resume_pretraining": "fieldguide.training.pretraining",
    "summary": "fieldguide.cost",
    "train": "fieldguide.training",
    "train_network": "fieldguide.training.runs",
}

__all__ = [*_MODULES, "__version__"]  # noqa: PLE0604 - they are strings


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name == "__version__":
        from importlib.metadata import version

        return version("fieldguide")
    if name not in _MODULES:
        raise AttributeError(f"module 'fieldguide' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
