"""What all tests share: no network, no telemetry, a Hub of our own, and small checkpoints made once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Read when the libraries are imported, so they are set before any of them is.
_HOME = tempfile.mkdtemp(prefix="attnflow-tests-")
os.environ |= {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_TEMP_DIR": os.path.join(_HOME, "gradio"),
    "HF_HOME": os.path.join(_HOME, "huggingface"),
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_TOKEN": "hf_server_secret",  # must never be sent for a visitor
    "TOKENIZERS_PARALLELISM": "false",
    "no_proxy": "127.0.0.1,localhost",
}

from tests.hub_server import HubServer  # noqa: E402

_HUB = HubServer()
_HUB.start()
os.environ["HF_ENDPOINT"] = _HUB.url

import pytest  # noqa: E402
import transformers  # noqa: E402

from attnflow import Checkpoint, Trace, capture, encode, load_checkpoint  # noqa: E402
from tests.checkpoints import ARCHITECTURES, PAIR, make_checkpoint  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def pytest_sessionfinish() -> None:
    _HUB.stop()


@pytest.fixture(scope="session")
def hub() -> HubServer:
    """The local Hub, which `HF_ENDPOINT` points to."""
    return _HUB


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with a small random classifier of each architecture."""
    top = tmp_path_factory.mktemp("checkpoints")
    return {name: make_checkpoint(top / name, name) for name in ARCHITECTURES}


@pytest.fixture(scope="session")
def checkpoints(folders: dict[str, Path]) -> dict[str, Checkpoint]:
    """The same, loaded."""
    return {name: load_checkpoint(folder) for name, folder in folders.items()}


@pytest.fixture(scope="session")
def traces(checkpoints: dict[str, Checkpoint]) -> dict[str, Trace]:
    """What each of them does with the same pair."""
    return {name: capture(checkpoint, encode(checkpoint, *PAIR)) for name, checkpoint in checkpoints.items()}
