"""A recipe's settings that lie in the network itself: dropout, stochastic depth, branches that begin at zero."""

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from fieldguide.errors import RecipeError
from fieldguide.introspection import create_on_meta
from fieldguide.layers import zero_branches
from fieldguide.models import MODELS, TIMM_PREFIX, TORCHVISION_PREFIX
from fieldguide.training.recipe import Recipe, Setting, read_setting
from fieldguide.weights import load_backbone
from fieldguide.weights.backbone import is_folder

_REGULARISATION = {"dropout": "dropout", "drop_path_rate": "stochastic depth"}
_THEIR_NAMES = {
    TIMM_PREFIX: {"dropout": "drop_rate", "drop_path_rate": "drop_path_rate"},
    TORCHVISION_PREFIX: {"dropout": "dropout", "drop_path_rate": "stochastic_depth_prob"},
}


def regularisation(name: str, recipe: Recipe) -> dict[str, float]:
    """Return the recipe's dropout and stochastic depth, as far as the network has them, by its factory's names."""
    wanted = {key: getattr(recipe, key) for key in _REGULARISATION if getattr(recipe, key) >= 0}
    return {own: value for key, value in wanted.items() if (own := _argument_for(name, key))}


def refuse_lacking(
    name: str, settings: Mapping[str, Setting], arguments: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Refuse settings that are asked for by name, and that the network has no place for or is told otherwise.

    What a recipe's own file says is another matter: it is taken as far as the network has it.

    Args:
        name: of the model, or the folder of a backbone.
        settings: of the recipe, that are asked for.
        arguments: of the model's factory, that are asked for.

    Raises:
        RecipeError: with the setting's name and value.
    """
    if not settings.keys() & {*_REGULARISATION, "zero_init"}:
        return
    if is_folder(name):
        name = load_backbone(name).name
    for key, what in _REGULARISATION.items():
        value, own = read_setting(key, settings.get(key, -1)), _argument_for(name, key)
        if float(value) > 0 and own is None:
            raise RecipeError(f"{key} is {value:g}, but {name} has no {what}; leave it out")
        if key in settings and own is not None and own in arguments:
            raise RecipeError(
                f"{key} is {value:g} as a setting, and {own} is {arguments[own]} as an argument of {name}; leave "
                "one of them out"
            )
    if read_setting("zero_init", settings.get("zero_init", False)):
        if name not in MODELS:
            raise RecipeError(
                f"zero_init is true, but is known for our own networks, not for {name}; leave it out"
            )
        if not zero_branches(create_on_meta(name)):
            raise RecipeError(
                f"zero_init is true, but {name} has no residual branch that ends in a norm; leave it out"
            )


def _argument_for(name: str, setting: str) -> str | None:
    """Return what the factory of a network calls a recipe's setting; None where it has none such."""
    prefix = next((prefix for prefix in _THEIR_NAMES if name.startswith(prefix)), None)
    if prefix is None:
        return setting if setting in inspect.signature(MODELS[name].factory).parameters else None
    own = _THEIR_NAMES[prefix][setting]
    try:
        with_less, with_more = (_rates(create_on_meta(name, **{own: rate})) for rate in (0.1, 0.2))
    except (TypeError, ValueError):  # TypeErrors are how their factories refuse an argument
        return None
    return own if with_less != with_more else None  # for some take any, and do nothing with it


def _rates(network: nn.Module) -> list[float]:
    return [v for module in network.modules() for v in vars(module).values() if isinstance(v, float)]
