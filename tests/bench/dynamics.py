"""What recording a training costs, and whether its data map finds labels that were flipped on purpose."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import BertForSequenceClassification, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from attnflow import TrainingDynamics, data_map, encode, load_checkpoint, map_order, open_texts
from attnflow.bundled import ASSETS

FLIPPED = 0.05
EPOCHS = 6


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    yield from _overhead()
    yield from flipped()


def pairs() -> list[dict[str, Any]]:
    """The bundled pairs as a data set of the Trainer, with its labels."""
    checkpoint, rows = load_checkpoint("demo/pretrained"), []
    for text in open_texts("demo/pairs"):
        inputs = encode(checkpoint, text.text_a, text.text_b).inputs
        rows.append(
            {name: values.tolist() for name, values in inputs.items()} | {"labels": int(text.label == "supported")}
        )
    return rows


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch, filled up on the right."""
    size = max(len(row["input_ids"]) for row in rows)
    names = [name for name in rows[0] if name != "labels"]
    batch = {name: torch.tensor([row[name] + [0] * (size - len(row[name])) for row in rows]) for name in names}
    return batch | {"labels": torch.tensor([row["labels"] for row in rows])}


def trainer(rows: list[dict[str, Any]], out: str, *callbacks: TrainerCallback, epochs: int = EPOCHS) -> Trainer:
    """The bundled fine-tuned model, which goes on learning, and the stock Trainer.

    The pre-trained one learns 2,000 pairs by heart, right and flipped ones alike: no order then beats chance.
    """
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(ASSETS / "demo" / "finetuned")
    settings: dict[str, Any] = {"per_device_train_batch_size": 16, "learning_rate": 1e-4, "num_train_epochs": epochs}
    quiet: dict[str, Any] = {"save_strategy": "no", "report_to": [], "disable_tqdm": True, "logging_strategy": "no"}
    arguments = TrainingArguments(out, use_cpu=True, seed=0, **settings, **quiet)
    made = Trainer(model, arguments, train_dataset=rows, data_collator=collate, callbacks=list(callbacks))
    made.remove_callback(PrinterCallback)
    return made


class _Steps(TrainerCallback):
    """Times whole epochs, with what is recorded and written in them."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def on_epoch_begin(self, *args: Any, **known: Any) -> None:
        self.start = time.process_time()

    def on_epoch_end(self, *args: Any, **known: Any) -> None:
        self.taken.append(time.process_time() - self.start)


def _overhead() -> Iterator[tuple[str, str]]:
    rows = pairs()[:400]
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(6):
        for recorded in times:
            with tempfile.TemporaryDirectory() as out:
                steps = _Steps()
                recorder = [TrainingDynamics(Path(out) / "dynamics")] * recorded
                trainer(rows, out, *recorder, steps, epochs=3).train()
                times[recorded] += steps.taken[1:]
    plain, with_it = median(times[False]), median(times[True])
    steps_of = len(rows) // 16
    yield (
        f"bundled encoder, batches of 16: recorded / plain training, mode step ({steps_of} steps)",
        f"{with_it / plain:.3f} x  ({1000 * plain / steps_of:.1f} ms a step)",
    )


def flipped(seed: int = 0) -> Iterator[tuple[str, str]]:
    """Precision and recall of orders at 5 %, of labels of which 5 % are flipped."""
    rows = pairs()
    wrong = np.random.default_rng(seed).choice(len(rows), round(FLIPPED * len(rows)), replace=False)
    for row in wrong:
        rows[row]["labels"] = 1 - rows[row]["labels"]
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        with TrainingDynamics(Path(out) / "dynamics") as dynamics:
            trainer(rows, out, dynamics).train()
        taken = time.perf_counter() - start
        found = data_map(Path(out) / "dynamics")
    names = np.array(found.guid)
    last = found.gold_probability[:, -1]
    orders = {
        "likely mislabelled (margin)": map_order(found, "likely_mislabelled").rows,
        "hard to learn (confidence)": map_order(found, "hard_to_learn").rows,
        "loss of the last epoch alone": np.argsort(last, kind="stable"),
    }
    yield (
        f"{len(rows)} pairs, {len(wrong)} labels flipped, {EPOCHS} epochs: accuracy by epoch",
        str(found.accuracy().round(2)),
    )
    yield "  the training took", f"{taken:.0f} s"
    for name, order in orders.items():
        hits = len(set(names[order[: len(wrong)]].tolist()) & set(wrong.tolist()))
        yield f"  {name}: precision = recall at {FLIPPED:.0%}", f"{hits / len(wrong):.0%}"
