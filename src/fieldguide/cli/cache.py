"""``fieldguide cache``."""

from typing import Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove everything but downloaded sets.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show, or clear, what is kept between runs: features of photos, converted networks."""
    from fieldguide.cli._console import print_json, print_table
    from fieldguide.embed.cache import clear_cache, list_cache, max_bytes
    from fieldguide.paths import cache_folder

    freed = clear_cache() if clear else 0
    entries = list_cache()
    if as_json:
        facts = {"folder": str(cache_folder()), "max_bytes": max_bytes(), "freed_bytes": freed}
        print_json({**facts, "entries": [vars(entry) for entry in entries]})
        return
    if clear:
        print(f"freed {_size(freed)}")
    print(f"{cache_folder()} keeps {_size(sum(e.num_bytes for e in entries))}")
    print(f"features may take {_size(max_bytes())}; FIELDGUIDE_CACHE_GB changes that, FIELDGUIDE_CACHE the folder")
    if entries:
        print_table(
            ("kind", "of", "photos", "size"),
            [(e.kind, e.name, "" if e.photos is None else e.photos, _size(e.num_bytes)) for e in entries],
        )


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"
