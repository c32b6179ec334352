"""Large numbers for reading."""


def in_units(number: float) -> str:
    """Return a number in thousands, millions or billions, with three digits: ``4.09 G``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * size:
            scaled = number / size
            return f"{scaled:.{max(0, 2 - (scaled >= 9.995) - (scaled >= 99.95))}f} {unit}"
    return f"{number:g} "
