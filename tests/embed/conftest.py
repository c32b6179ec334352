"""The mean-colour engine, registered for one test."""

import mean_colour
import pytest

from fieldguide.embed.engines import ENGINES


@pytest.fixture
def mean_colour_engine(own_cache):
    mean_colour.register()
    yield own_cache
    del ENGINES._entries[mean_colour.NAME]
