"""Asks the Hub what it knows of a repository, and believes only an answer that has the form of one."""

from __future__ import annotations

import re
from typing import Any

import huggingface_hub
from huggingface_hub import ModelInfo
from huggingface_hub.errors import HfHubHTTPError

from attnflow.errors import CheckpointError

_COMMIT = re.compile(r"[0-9a-f]{40}")


def ask(repo_id: str, revision: str | None, token: str | None, timeout: float) -> ModelInfo:
    """What the Hub says of a commit of a repository, its files with their sizes included.

    Raises:
        HfHubHTTPError: As the Hub refuses it, as huggingface_hub raises it; likewise if there is no answer at all.
        CheckpointError: If the answer is none about a model, as after a redirect to somewhere else.
    """
    wrong: Exception | None = None
    try:
        info = huggingface_hub.HfApi().model_info(
            repo_id, revision=revision, timeout=timeout, files_metadata=True, token=token or False
        )
        if _is_about_a_model(info):
            return info
    except HfHubHTTPError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # no JSON, or JSON about something else
        wrong = error
    raise CheckpointError(
        f"The Hub's answer about {repo_id} cannot be read, for it tells of no model; try again in a minute."
    ) from wrong


def is_commit(value: Any) -> bool:
    """Whether a value of an answer is the name of a commit."""
    return isinstance(value, str) and bool(_COMMIT.fullmatch(value))


def license_of(tags: list[str]) -> str | None:
    """The licence among the tags of a repository."""
    return next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), None)


def _is_about_a_model(info: ModelInfo) -> bool:
    """Whether everything that is used of an answer is of its kind; a commit becomes a folder on disk."""
    files = info.siblings or []
    return (
        isinstance(info.id, str)
        and is_commit(info.sha)
        and all(isinstance(file.rfilename, str) and _is_size(file.size) for file in files)
        and all(isinstance(tag, str) for tag in info.tags or [])
        and isinstance(info.pipeline_tag, str | None)
        and _is_size(info.downloads)
        and (info.safetensors is None or _is_size(info.safetensors.total))
    )


def _is_size(value: Any) -> bool:
    return value is None or (isinstance(value, int) and value >= 0)
