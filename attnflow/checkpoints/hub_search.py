"""Finds checkpoints on the Hub by a part of their name, and says what their pages tell of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError

from attnflow.checkpoints import hub, model_info, refusals
from attnflow.checkpoints.checkpoint import check_supported
from attnflow.checkpoints.hub_find import find
from attnflow.checkpoints.references import parse_reference

_ASKED_FOR: Any = ["downloads", "pipeline_tag", "safetensors", "tags"]


@dataclass(frozen=True)
class Listing:
    """What the Hub tells of a checkpoint before anything is downloaded."""

    repo_id: str
    task: str | None
    """Such as `text-classification`."""
    parameters: int | None
    nbytes: int | None
    """Size of the files that would be downloaded; None in the results of a search."""
    license: str | None
    downloads: int | None
    """In the last 30 days."""

    @property
    def facts(self) -> list[str]:
        """What is known, in words."""
        known = [
            self.task,
            f"{shortened(self.parameters)} parameters" if self.parameters else None,
            f"{self.nbytes / 1e6:.3g} MB" if self.nbytes else None,
            self.license,
            f"{shortened(self.downloads)} downloads" if self.downloads else None,
        ]
        return [fact for fact in known if fact]


def shortened(number: int) -> str:
    """A number for a glance.

    Example:
        >>> shortened(109_482_240), shortened(1_200), shortened(40)
        ('109 M', '1.2 k', '40')
    """
    for size, unit in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)


def search_models(text: str, limit: int = 20) -> list[Listing]:
    """Public checkpoints whose name contains a text, most downloaded first; empty if the Hub does not answer."""
    try:
        found = huggingface_hub.HfApi().list_models(
            search=text, filter="transformers", sort="downloads", limit=limit, expand=_ASKED_FOR, token=False
        )
        return [
            Listing(
                repo_id=model.id,
                task=model.pipeline_tag,
                parameters=model.safetensors.total if model.safetensors else None,
                nbytes=None,
                license=model_info.license_of(model.tags or []),
                downloads=model.downloads,
            )
            for model in found
        ]
    except (*refusals.UNREACHABLE, HfHubHTTPError, ValueError):
        return []  # a convenience: the box takes any id without it


def look_up(repo_id: str, revision: str | None = None, token: str | None = None) -> Listing:
    """What the Hub tells of one checkpoint, if it can be analysed; nothing but its configuration is downloaded.

    Raises:
        CheckpointError: If there is none that this token may read.
        UnsupportedArchitectureError: If it cannot be analysed.
    """
    location = find(parse_reference(repo_id, revision), token)[0]
    if not location.files or "config.json" in location.files:
        check_supported(hub.read_config(location), location.name)
    return Listing(
        repo_id=location.name,
        task=location.task,
        parameters=location.parameters,
        nbytes=location.wanted_bytes or None,
        license=location.license,
        downloads=location.downloads,
    )
