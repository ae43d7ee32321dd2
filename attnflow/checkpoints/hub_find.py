"""Finds the checkpoint in a repository of the Hub: in the folder that was named, or where its `modules.json` says."""

from __future__ import annotations

from attnflow.checkpoints import hub, sentence_transformer
from attnflow.checkpoints.references import Reference


def find(reference: Reference, token: str | None = None) -> tuple[hub.Location, tuple[str, ...]]:
    """Look up a checkpoint; nothing is downloaded but its `modules.json` and what belongs to that, if it has one.

    Args:
        reference: What was asked for.
        token: Access token of the person who asks.

    Returns:
        Where it is, and notes of what goes before or follows it in its repository and is not run here.

    Raises:
        CheckpointError: If it cannot be found or reached.
        UnsupportedArchitectureError: If the repository holds a pipeline that does not begin with a Transformer.
    """
    location = hub.locate(reference.repo_id, reference.revision, token).inside(reference.subfolder)
    if not _there(location, sentence_transformer.FILE):
        return location, ()
    with hub.fetched(location, sentence_transformer.FILE) as path:
        parts, prompts = sentence_transformer.read_parts(path, location.name), ""
    if _there(location, sentence_transformer.PROMPTS):
        with hub.fetched(location, sentence_transformer.PROMPTS) as path:
            prompts = sentence_transformer.prompts_note(path, location.name)
    return location.inside(parts.folder), (parts.note, prompts)


def _there(location: hub.Location, file: str) -> bool:
    """Whether a file is in the repository, or, while the Hub does not answer, in the cache."""
    cached = location.folder / "snapshots" / location.sha / location.path(file)
    return file in location.files or (not location.files and cached.exists())
