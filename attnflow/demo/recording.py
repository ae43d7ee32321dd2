"""Records the fine-tuning: what the model says of some of its training pairs on the way, and what it was on the way."""

from __future__ import annotations

import copy
import csv
import gzip
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers.models.bert.modeling_bert import BertForSequenceClassification
from transformers.models.bert.tokenization_bert import BertTokenizer

from attnflow.demo import measuring
from attnflow.demo.batches import Encoded
from attnflow.demo.grammar import LABELS, Pair

logger = logging.getLogger(__name__)

PAIRS = 2000
"""Pairs of the training set that are recorded: its first ones."""
STRETCHES = 10
"""Equally long parts of the fine-tuning, after each of which it is recorded; each is an epoch of the recording."""
KEPT = (1, 3, 6)
"""The stretches after which the model is kept as a checkpoint."""
DIGITS = 5
"""Of a logit."""


class Recording:
    """Is told of every step of the fine-tuning, and writes what the model answers at the end of each stretch.

    The files are those of allenai/cartography, an evaluation pass each. It draws no random numbers, so that the model
    comes out as if nothing were recorded.

    Args:
        folder: Where files go; made if it is not there, and emptied of recorded epochs.
        rows: The recorded pairs, encoded.
        steps: How many steps the fine-tuning takes.
        stretches: How many files are written, at most one a step.
        checkpoints: Where checkpoints in half precision go, if they are wanted.
        tokenizer: What is saved beside them.
    """

    def __init__(
        self,
        folder: Path,
        rows: Sequence[Encoded],
        steps: int,
        *,
        stretches: int = STRETCHES,
        checkpoints: Path | None = None,
        tokenizer: BertTokenizer | None = None,
    ) -> None:
        stretches = min(stretches, steps)
        self._ends = {round(steps * number / stretches): number for number in range(1, stretches + 1)}
        self._folder, self._rows, self._checkpoints, self._tokenizer = folder, rows, checkpoints, tokenizer
        folder.mkdir(parents=True, exist_ok=True)
        for known in folder.glob("dynamics_epoch_*.jsonl.gz"):
            known.unlink()

    def after(self, step: int, model: BertForSequenceClassification) -> None:
        """Record the model if a stretch ends with this step, counted from 1."""
        if (stretch := self._ends.get(step)) is None:
            return
        model.eval()
        logits = measuring.logits(model, self._rows)
        model.train()
        write_epoch(self._folder, stretch - 1, logits.tolist(), [row.label for row in self._rows])
        right = logits.argmax(-1) == torch.tensor([row.label for row in self._rows])
        logger.info("recorded after step %d: %.1f %% right", step, 100 * right.double().mean())
        if self._checkpoints is not None and stretch in KEPT:
            self._keep(model, self._checkpoints / f"checkpoint-{step}", step, stretch)

    def _keep(self, model: BertForSequenceClassification, place: Path, step: int, stretch: int) -> None:
        """Save what a Trainer would, its state last."""
        copy.deepcopy(model).half().save_pretrained(place)
        (place / "model.safetensors").chmod(0o644)
        if self._tokenizer is not None:
            self._tokenizer.save_pretrained(place)
        state = {"global_step": step, "epoch": float(stretch)}
        (place / "trainer_state.json").write_text(json.dumps(state) + "\n", encoding="utf-8")


def write_epoch(folder: Path, epoch: int, logits: Sequence[Sequence[float]], labels: Sequence[int]) -> None:
    """Write a file of cartography's, packed: a line for each pair, which is called by its row in the training set."""
    lines = [
        json.dumps(
            {
                "guid": row,
                f"logits_epoch_{epoch}": [float(f"{value:.{DIGITS}g}") for value in own],
                "gold": label,
            }
        )
        for row, (own, label) in enumerate(zip(logits, labels, strict=True))
    ]
    content = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
    (folder / f"dynamics_epoch_{epoch}.jsonl.gz").write_bytes(content)


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Write the recorded pairs as CSV: row in the training set, both texts, label, and what the pair is about."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["guid", "text_a", "text_b", "label", "phenomenon"])
        for row, pair in enumerate(pairs):
            writer.writerow([row, pair.text_a, pair.text_b, LABELS[pair.label], pair.phenomenon])
