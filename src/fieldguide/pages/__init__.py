"""Pages that need nothing beside them: templates, small pictures and charts, filled with plain facts."""

from collections.abc import Mapping
from typing import Any

from fieldguide.words import in_hundred


def render(name: str, facts: Mapping[str, Any]) -> bytes:
    """Fill a template in; what stands in facts is text, never markup. Returns UTF-8."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fieldguide.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["in_hundred"] = in_hundred
    return environment.get_template(name).render(facts).encode("utf-8", "backslashreplace")
