"""Moments of one training on the Hub: branches, tags or commits that say which step they are of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from attnflow.checkpoints import refusals
from attnflow.checkpoints.model_info import is_commit
from attnflow.checkpoints.moments import END, MOST, Moment
from attnflow.checkpoints.references import parse_reference

_STEP = re.compile(r"(?:^|[^a-z])(step|epoch|checkpoint|ckpt|iter(?:ation)?)s?[ _=-]*(\d[\d,]{0,14})", re.IGNORECASE)
"""As in `step1000` (Pythia), `checkpoint-500` and `Training in progress, step 500` (a Trainer that pushes)."""


def moments_on_hub(ref: str, token: str | None = None) -> tuple[Moment, ...]:
    """The checkpoints of a training in a repository, first to last; none if it names fewer than two or is not reached.

    Args:
        ref: A Hub id; a revision in it is not regarded.
        token: Access token of the person who asks.

    Returns:
        Branches and tags that name a step; else the commits that do. The newest commit ends them.

    Raises:
        CheckpointError: If it is no Hub id.
    """
    repo_id = parse_reference(ref).repo_id
    hub = huggingface_hub.HfApi(token=token or False)
    try:
        refs = hub.list_repo_refs(repo_id)
        newest = {one.name: one.target_commit for one in refs.branches}.get(constants.DEFAULT_REVISION, "")
        found = _steps((one.name, one.name, one.target_commit) for one in [*refs.branches, *refs.tags])
        if len(found) < 2:
            commits = hub.list_repo_commits(repo_id)
            found = _steps((one.title, one.commit_id, one.commit_id) for one in reversed(commits))
    except (*refusals.UNREACHABLE, HfHubHTTPError, ValueError, TypeError, KeyError, AttributeError):
        return ()  # a convenience: a revision can be named without it
    return (*found, replace(END, commit=newest)) if len(found) > 1 else ()


def _steps(named: Iterable[tuple[str, str, str]]) -> list[Moment]:
    """Those that tell of a step, by its number; the last of equals, and of many some, evenly chosen."""
    found: dict[str, dict[int, Moment]] = {"step": {}, "epoch": {}}
    for text, revision, commit in named:
        told = _STEP.search(text) if isinstance(text, str) and is_commit(commit) else None
        if told is not None:
            kind, number = "epoch" if told[1].lower() == "epoch" else "step", int(told[2].replace(",", ""))
            found[kind][number] = Moment(revision, f"{kind} {number:,}", commit)
    of_most = max(found.values(), key=len)
    ordered, most = [of_most[number] for number in sorted(of_most)], MOST - 1
    return ordered if len(ordered) <= most else [ordered[i * (len(ordered) - 1) // (most - 1)] for i in range(most)]
