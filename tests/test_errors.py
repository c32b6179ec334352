"""The tree of errors."""

import inspect

import pytest

import fieldguide as fg
from fieldguide import errors

KINDS = {
    name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and not issubclass(kind, Warning)
}


def test_every_error_is_a_fieldguide_error_and_is_drawn_in_the_tree():
    assert set(KINDS) == {
        "FieldguideError",
        *(line.split()[1] for line in errors.__doc__.splitlines() if "──" in line),
    }


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_one_except_clause_catches_them_all(kind):
    with pytest.raises(fg.FieldguideError, match=r"photos/ does not exist"):
        raise kind("photos/ does not exist")
    assert not issubclass(kind, ValueError | TypeError | OSError), "those are of wrong calls and of the system"
    assert kind.__doc__
