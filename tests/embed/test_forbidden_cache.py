"""The whole way of a photo where the cache folder may not even be looked into."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from mean_colour import make_set
from fieldguide.embed import Embedder
from fieldguide.weights import load_backbone
embedder = Embedder(load_backbone(size_px=32), engine=sys.argv[2])
np.save(sys.argv[3], embedder.embed(make_set(5)).features)
print(embedder.cache.fault)
"""


def give_up_roots_powers() -> None:
    """Let file permissions count for this process, even if it is root's."""
    pr_capbset_drop, cap_dac_override, cap_dac_read_search = 24, 1, 2
    for power in (cap_dac_override, cap_dac_read_search):
        ctypes.CDLL(None).prctl(pr_capbset_drop, power, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's way to give up powers")
@pytest.mark.parametrize("engine", ["openvino", "torch-cpu"])
@pytest.mark.parametrize("mode", [0o000, 0o500], ids=["may not be entered", "may not be written"])
def test_a_forbidden_cache_costs_only_time(tmp_path, own_cache, engine, mode):
    own_cache.mkdir(mode=mode)
    child = subprocess.run(
        [sys.executable, "-c", SOURCE, Path(__file__).parent, engine, tmp_path / "features.npy"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=give_up_roots_powers,
    )
    assert (child.returncode, child.stderr) == (0, "")
    assert "Permission denied" in child.stdout or "unable to open" in child.stdout
    assert (tmp_path / "features.npy").stat().st_size > 5 * 1280 * 2
