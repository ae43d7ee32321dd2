"""Which text is which row of a batch: row numbers go through the loader with the rows, up to the model."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from attnflow.corpus.gold_answers import logits_of
from attnflow.errors import SelectionError

ROW = "attnflow_row"
GOLD = "attnflow_gold"
LABELS = ("labels", "label", "label_ids")

Seen = Callable[[nn.Module, Tensor, Tensor, Tensor], None]
"""Told of a forward: the model, rows `[B]`, logits and labels."""


class Numbered:
    """A data set whose rows come with their number; all else it asks of the data set itself.

    Args:
        dataset: The data set, by row number.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __getitem__(self, row: int) -> tuple[int, Any]:
        return row, self.dataset[row]

    def __getitems__(self, rows: list[int]) -> list[tuple[int, Any]]:
        several = getattr(self.dataset, "__getitems__", None)
        found = several(rows) if several else [self.dataset[row] for row in rows]
        return list(zip(rows, found, strict=True))

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name == "dataset" or name.startswith("__"):  # not there yet while it is unpickled in a worker
            raise AttributeError(name)
        return getattr(self.dataset, name)


class NumberedCollator:
    """A collator whose batches hold the rows of the data set that they are of, and a copy of the labels.

    Label smoothing and a loss of one's own take the labels out of a batch before the model sees it, hence the copy.

    Args:
        collate: The collator, which gets the rows alone.
    """

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self.collate = collate

    def __call__(self, rows: list[tuple[int, Any]]) -> Any:
        """A batch of numbered rows."""
        batch = self.collate([row for _, row in rows])
        if not isinstance(batch, MutableMapping):
            raise SelectionError(
                f"The collator made a {type(batch).__name__} of a batch, with no place for the rows that it is of; "
                "let it make a dictionary, or record with TrainingDynamics.record in a loop of your own."
            )
        labels = next((batch[name] for name in LABELS if isinstance(batch.get(name), Tensor)), None)
        if labels is None:
            raise SelectionError(
                f"The batches of the training have no labels, but {', '.join(map(str, batch))}; training dynamics need "
                "them: let the collator put them there as `labels`."
            )
        batch[GOLD] = labels
        batch[ROW] = torch.tensor([number for number, _ in rows])
        return batch


def number_rows(loader: DataLoader[Any]) -> None:
    """Have a loader number its rows from now on, in its workers, too; done twice it is done once.

    Raises:
        SelectionError: If it is of a stream, which has no row numbers.
    """
    loader = getattr(loader, "base_dataloader", loader)  # accelerate has loaders around loaders
    if isinstance(loader.dataset, IterableDataset):
        raise SelectionError(
            "The training set is a stream, whose rows have no numbers, so that texts cannot be known again in the next "
            "epoch; train on a data set with rows, or record with TrainingDynamics.record in a loop of your own."
        )
    if not isinstance(loader.dataset, Numbered):
        # A DataLoader forbids another data set, since its sampler was made for the first; this one has the same rows.
        vars(loader)["dataset"] = Numbered(loader.dataset)
        loader.collate_fn = NumberedCollator(loader.collate_fn)


class Watch:
    """Sees what a model answers in training, and takes the row numbers out of what it is called with.

    Args:
        model: The model, which may be wrapped to be distributed: wrappers pass on what they are called with.
        seen: What is told of each forward of numbered rows.
        silent: Whether rows are taken out without being told, as where an evaluation pass records.
    """

    def __init__(self, model: nn.Module, seen: Seen, silent: bool = False) -> None:
        self._seen, self._silent = seen, silent
        self._of = threading.local()  # DataParallel runs its copies of the model in threads
        self._handles = [
            model.register_forward_pre_hook(self._before, with_kwargs=True, prepend=True),
            model.register_forward_hook(self._after),
        ]

    def close(self) -> None:
        """Leave the model as it was."""
        for handle in self._handles:
            handle.remove()

    def _before(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        rows, gold = kwargs.get(ROW), kwargs.get(GOLD)
        self._of.batch = None if rows is None else (rows, gold, any(name in kwargs for name in LABELS))
        return args, {name: value for name, value in kwargs.items() if name not in (ROW, GOLD)}

    def _after(self, module: nn.Module, args: Any, output: Any) -> None:
        batch, self._of.batch = getattr(self._of, "batch", None), None
        if batch is None or self._silent:
            return
        rows, labels, with_loss = batch
        logits = logits_of(output, with_loss)
        if logits is None:
            raise SelectionError(
                f"{type(module).__name__} gave no logits in training, so there is nothing to record; let its output "
                "have `logits` (some fused losses leave them out and can be switched off)."
            )
        if len(logits) != len(rows):
            raise SelectionError(
                f"A batch of {len(rows)} texts gave logits of {len(logits)}: texts are packed together, and it "
                "cannot be told whose they are; train without packing to record dynamics."
            )
        self._seen(module, rows, logits.detach(), labels)
