"""Weights of timm's models: from a file, from the Hub, and what is said where the Hub is out of reach."""

import functools
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from fieldguide.data.preprocess import Preprocess
from fieldguide.errors import WeightsError
from fieldguide.libraries import import_timm
from fieldguide.weights import load_backbone
from fieldguide.weights.tensors import serialise

GO_ON = (
    "offline, fetch model.safetensors from there on another computer and pass it as --weights model.safetensors"
)
HUB_FOLDER = "timm/resnet10t.c3_in1k/resolve/main"
LOAD = """
import json, sys
from fieldguide.errors import WeightsError
from fieldguide.weights import load_backbone
try:
    weights = load_backbone("timm:resnet10t").weights
    print(json.dumps([weights.fingerprint, sorted(weights.tensors)]))
except WeightsError as error:
    print(json.dumps(str(error)))
"""


def make_timm(name: str, file: Path, **arguments):
    """Make one of timm's networks with random weights, and save them."""
    torch.manual_seed(0)
    network = import_timm().create_model(name, **arguments).eval()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(serialise({key: tensor.numpy() for key, tensor in network.state_dict().items()}))
    return network


# Classifiers of all kinds: a layer, one in a module, one with a norm before it, two of them, none.
@pytest.mark.parametrize(
    ("name", "num_classes"),
    [
        ("resnet10t", 1000),
        ("resnet10t", 7),
        ("resnet10t", 0),
        ("mobilenetv3_small_050", 1000),
        ("convnext_atto", 1000),
        ("efficientvit_m0", 1000),
        ("repvit_m0_9", 1000),
    ],
)
def test_a_file_gives_the_features_that_timm_gives(tmp_path, name, num_classes):
    network = make_timm(name, tmp_path / "weights.safetensors", num_classes=num_classes)
    backbone = load_backbone(f"timm:{name}", weights=tmp_path / "weights.safetensors")
    side = backbone.preprocess.size_px
    images = torch.randn(2, 3, side, side)
    network.reset_classifier(0)
    with torch.no_grad():
        assert_close(backbone.build()(images), network(images))


def test_the_preprocessing_is_that_of_the_weights(tmp_path):
    make_timm("resnet10t", tmp_path / "weights.safetensors")
    backbone = load_backbone("timm:resnet10t", weights=tmp_path / "weights.safetensors", fit="squash")
    assert backbone.preprocess == Preprocess(
        size_px=176, interpolation="bicubic", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), fit="squash"
    )


def test_a_file_of_another_network_is_refused(tmp_path):
    make_timm("mobilenetv3_small_050", tmp_path / "weights.safetensors")
    backbone = load_backbone("timm:resnet10t", weights=tmp_path / "weights.safetensors")
    with pytest.raises(
        WeightsError, match=r"don't fit timm:resnet10t: 1 of 84 tensors fitted; 79 missing .*left over"
    ):
        backbone.build()


def test_a_network_of_fixed_size_refuses_another(tmp_path):
    file = tmp_path / "weights.safetensors"
    make_timm("vit_tiny_patch16_224", file)
    expected = "timm:vit_tiny_patch16_224 takes pictures of 224 px only, not of 192; leave out --size"
    with pytest.raises(WeightsError, match=expected):
        load_backbone("timm:vit_tiny_patch16_224", weights=file, size_px=192)
    assert load_backbone("timm:vit_tiny_patch16_224", weights=file, size_px=224).preprocess.size_px == 224


def test_a_network_that_nobody_trained_needs_a_file():
    with pytest.raises(
        WeightsError, match="no pretrained weights for timm:convnext_atto_rms; pass a file with --w"
    ):
        load_backbone("timm:convnext_atto_rms")


@pytest.fixture
def closed_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_download_that_fails_says_what_was_tried_and_how_to_go_on(run, colour_folder, closed_port, tmp_path):
    hub = {"HF_ENDPOINT": f"http://127.0.0.1:{closed_port}", "HF_HOME": str(tmp_path / "hub")}
    result = run("train", colour_folder, "-o", tmp_path / "a.guide", "--backbone", "timm:resnet10t", **hub)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()  # and not the client's own lines, one a retry
    assert line.startswith(
        "fieldguide: the weights of timm:resnet10t could not be downloaded from "
        "https://huggingface.co/timm/resnet10t.c3_in1k: "
    )
    assert "onnection refused" in line
    assert line.endswith(GO_ON)


class Hub(http.server.SimpleHTTPRequestHandler):
    """Serves files as the Hub does."""

    def end_headers(self):
        self.send_header("ETag", '"0123456789abcdef"')
        self.send_header("X-Repo-Commit", "0" * 40)
        super().end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(tmp_path):
    """A folder, and how to load a backbone from a server of it on this machine, up or down."""
    folder = tmp_path / "hub"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Hub, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def load(*, up: bool = True):
        if not up:
            server.shutdown()
            server.server_close()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        child = subprocess.run(
            [sys.executable, "-c", LOAD],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home")},
        )
        return json.loads(child.stdout)

    yield folder, load
    server.shutdown()
    server.server_close()


def test_weights_are_downloaded_once_and_then_there_offline(hub):
    folder, load = hub
    file = folder / HUB_FOLDER / "model.safetensors"
    make_timm("resnet10t", file)
    weights = load_backbone("timm:resnet10t", weights=file).weights
    expected = [weights.fingerprint, sorted(weights.tensors)]
    assert load() == expected
    assert load(up=False) == expected


def test_a_hub_that_lacks_the_file_says_so(hub):
    _, load = hub
    message = load()
    assert message.startswith("the weights of timm:resnet10t could not be downloaded from https://huggingface.co/")
    assert message.endswith(GO_ON)
