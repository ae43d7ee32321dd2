"""The same architecture with weights as before any training: what a model does by its shape and positions alone."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.task_head import TaskHead
from attnflow.errors import SelectionError
from attnflow.records.trace import is_whole


def random_weights(checkpoint: Checkpoint, seed: int = 0, *, keep_embeddings: bool = False) -> Checkpoint:
    """A checkpoint of the same architecture and tokenizer whose weights are drawn anew, as transformers begins a model.

    It is another checkpoint by name and hash, so that nothing computed with it is taken for the trained one's, and has
    no task head that could decide. It is kept in memory alone; another process draws the same again.

    Args:
        checkpoint: The trained one, which stays as it is.
        seed: The same seed draws the same weights, on any device.
        keep_embeddings: Whether the tables of embeddings (words, positions, kinds of sentences) stay as they were
            learnt, as in the probing classifiers of Clark et al. (section 5).

    Raises:
        SelectionError: If the seed is no whole number from 0.

    Example:
        >>> from attnflow import load_checkpoint
        >>> random_weights(load_checkpoint("demo/finetuned")).name
        'demo/finetuned (random weights, seed 0)'
    """
    if not (is_whole(seed) and 0 <= seed < 2**63):
        raise SelectionError(f"seed is {str(seed)[:60]!r}; give a whole number from 0.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed))
        fresh = type(checkpoint.model)(copy.deepcopy(checkpoint.model.config))
    model = copy.deepcopy(checkpoint.model)  # with all that was made ready in it
    learnt = _tables(checkpoint.model) if keep_embeddings else {}
    model.load_state_dict({**fresh.state_dict(), **learnt})
    kept = " but embeddings" if keep_embeddings else ""
    drawn = replace(
        checkpoint,
        name=f"{checkpoint.name} (random weights{kept}, seed {seed})",
        sha=hashlib.sha256(f"{checkpoint.sha} random weights{kept} {seed}".encode()).hexdigest()[:40],
        model=model,
        head=TaskHead(checkpoint.head.kind, trained=False, reason="Its weights are random, so it decides nothing."),
        notes=(f"The weights{kept} are drawn at random (seed {seed}) in the place of the trained ones.",),
    )
    if checkpoint.origin is not None:
        object.__setattr__(drawn, "origin", partial(_again, checkpoint, int(seed), keep_embeddings))
    return drawn


def _again(checkpoint: Checkpoint, seed: int, keep_embeddings: bool) -> Checkpoint:
    """The same by position, as a checkpoint that is sent to another process asks for itself."""
    return random_weights(checkpoint, seed, keep_embeddings=keep_embeddings)


def _tables(model: nn.Module) -> dict[str, torch.Tensor]:
    """Every table of embeddings, by its name in the model."""
    return {
        f"{place}.{name}": values
        for place, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, nn.Embedding)
        for name, values in module.state_dict().items()
    }
