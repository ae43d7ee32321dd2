"""Records a training: what the model answers on each of its texts, epoch by epoch, from the Trainer or any loop."""

from __future__ import annotations

import math
import os
import warnings
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers.trainer_callback import TrainerCallback

from attnflow.corpus.dynamics_files import Record, file_name, read_epoch, recorded_epochs, write_epoch
from attnflow.corpus.gold_answers import Task, answers, task_of
from attnflow.corpus.part_files import Folder, open_folder
from attnflow.corpus.training_rows import Watch, number_rows
from attnflow.errors import SelectionError
from attnflow.records.dynamics import Guid, listed, texts_in_words
from attnflow.records.texts import Text
from attnflow.records.trace import is_whole
from attnflow.runtime.memory import within_memory

Mode = Literal["step", "epoch"]

_BATCHES = 512
"""After so many batches their answers are fetched from the device, so that it holds no more."""


class TrainingDynamics(TrainerCallback):
    """Records training dynamics, for `data_map`: one file an epoch, a line for each text.

    With the Trainer it is two lines, here and in `callbacks`; nothing else of the script changes:

        dynamics = attnflow.TrainingDynamics("dynamics")
        trainer = Trainer(..., callbacks=[dynamics])

    It finds out which texts a batch is of by itself: the loader of the Trainer is made to send row numbers along, which
    are taken out before the model computes, and the answers are those of the very forward pass of the training. So it
    works with any collator that makes a dictionary with labels, any number of workers and processes, gradient
    accumulation, mixed precision, adapters (PEFT), and label smoothing. It changes neither weights nor random numbers.
    A Trainer whose own `compute_loss` picks single inputs has to pass all to the model: `model(**inputs)`.

    Mode `step` records the training forward itself: it costs next to nothing, dropout is on, and a text is seen before
    the step that learns from it (as the papers do). Mode `epoch` runs the model over all texts after each epoch,
    without dropout: one more forward pass, answers of one and the same model.

    A text is called by its row in the training set, as `datasets.Dataset.select` counts, or by `texts`. If a text comes
    twice in an epoch, its last answer counts. Each process writes a part of its own, `data_map` puts them together.
    What there is of an epoch is written with each checkpoint; a training that is resumed from one goes on with it. Of
    several labels, tokens or words a text has the probability of all its gold answers, `exp(mean log p)`, as the first
    of two classes.

    In a loop of one's own, `record` is called with each batch, and `close` in the end (or use `with`).

    Args:
        folder: Where; made if it is not there. An address such as `s3://bucket/run` is one, too.
        mode: Which forward pass is recorded.
        texts: The texts of the training set in its order, or their names; rows are called by their number if None.
        compress: Whether files are packed by gzip.
        part: Which process this is, and of how many that record. As the Trainer or `torch.distributed` says if None;
            `(0, 1)` where one process records what it gathered of all.

    Raises:
        SelectionError: If the folder cannot be made, or a choice is none.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        mode: Mode = "step",
        texts: Sequence[Text] | Sequence[Guid] | None = None,
        compress: bool = False,
        part: tuple[int, int] | None = None,
    ) -> None:
        if mode not in get_args(Mode):
            raise SelectionError(f"There is no mode {str(mode)[:60]!r}; choose {', '.join(get_args(Mode))}.")
        self._mode, self._names = mode, None if texts is None else _names(texts)
        self._store = _Store(open_folder(folder), compress, part)
        # A script that ends without `close`, by an error perhaps, keeps what it recorded.
        self._closing = weakref.finalize(self, self._store.write)
        self._watch: Watch | None = None
        self._task: Task | None = None
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        self._told = False
        self._next = self._seen_rows = 0

    # ---- a loop of one's own

    def record(self, epoch: int, guids: Iterable[Any], logits: Any, labels: Any) -> None:
        """Record a batch, or an epoch at once; an epoch is written when the next one begins, and by `close`.

        Args:
            epoch: Its number, from 0; it does not fall.
            guids: `[B]`: names of the texts, whole numbers or strings.
            logits: `[B, C]`: a tensor, an array or lists.
            labels: `[B]`: the gold classes, from 0.

        Raises:
            SelectionError: If these do not fit each other, or the epoch cannot be written.
        """
        if not is_whole(epoch) or epoch < 0:
            raise SelectionError(f"The epoch is {str(epoch)[:60]!r}; give a whole number from 0.")
        names = [_guid(guid) for guid in (guids.tolist() if isinstance(guids, (Tensor, np.ndarray)) else guids)]
        values, gold = _array(logits, "logits"), _array(labels, "labels")
        if values.ndim != 2 or gold.ndim != 1 or not len(names) == len(values) == len(gold) or values.shape[1] < 2:
            raise SelectionError(
                f"{texts_in_words(len(names))} came with logits {list(values.shape)} and labels {list(gold.shape)}; "
                "give one row of two or more logits and one label for each."
            )
        if not np.isin(gold, np.arange(values.shape[1])).all():
            wrong = next(value for value in gold.tolist() if value not in range(values.shape[1]))
            raise SelectionError(
                f"A label is {wrong}, and the logits are of {values.shape[1]} classes; give classes counted from 0."
            )
        if self._store.epoch is None:
            self._store.resume(int(epoch))
        self._store.begin(int(epoch))
        self._add(names, values, gold.astype(np.int64))

    def close(self) -> None:
        """Write what is not written yet, and leave the model as it was.

        Raises:
            SelectionError: If it cannot be written.
        """
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._fetch()
        self._store.write()

    def __enter__(self) -> TrainingDynamics:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- what the Trainer calls

    def on_train_begin(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Watch the model, and have its loader number the rows."""
        model, loader = known["model"], known["train_dataloader"]
        if not isinstance(loader, DataLoader):
            raise SelectionError(
                f"The training reads its texts by a {type(loader).__name__}, no DataLoader of torch, so that rows "
                "cannot be numbered; record with TrainingDynamics.record in a loop of your own."
            )
        self._store.part = self._store.part or (int(args.process_index), int(args.world_size))
        epoch = int(state.epoch or 0)
        self._store.resume(epoch, anew=not state.global_step)
        number_rows(loader)
        n_rows = len(loader.dataset)  # pyright: ignore[reportArgumentType] - a stream was refused
        if self._names is not None and len(self._names) != n_rows:
            raise SelectionError(
                f"The training set has {n_rows:,} rows, and texts= has {len(self._names):,}; give the texts of the "
                "training set, in its order and after everything that was left out of it."
            )
        if self._watch is not None:
            self._watch.close()
        self._watch = Watch(model, self._see, silent=self._mode == "epoch")
        self._next, self._seen_rows, self._task = epoch, 0, None

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Begin an epoch."""
        self._store.begin(self._next, write=False)  # that before was written when it ended, or it was told why not
        self._next += 1

    def on_step_end(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """See after the first step that something was recorded, before hours are lost."""
        if self._mode == "step" and not self._seen_rows:
            self.close()
            raise SelectionError(
                "A step has ended, and the model was not told which texts it was of; call it as model(**inputs) in "
                "compute_loss, or record with TrainingDynamics.record in a loop of your own."
            )

    def on_save(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Keep what there is of the epoch together with a checkpoint, from which the training may be resumed."""
        self._keep()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Write the epoch."""
        if self._mode == "epoch":
            self._evaluate(known["model"], known["train_dataloader"], args)
        self._keep()

    def on_train_end(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Leave the model as it was."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._keep()

    # ---- how

    def _see(self, model: nn.Module, rows: Tensor, logits: Tensor, labels: Tensor) -> None:
        if self._task is None:
            self._task = task_of(model, logits, labels)
        values, gold = answers(self._task, logits, labels)
        self._waiting.append((rows, values, gold))
        self._seen_rows += len(rows)
        if len(self._waiting) >= _BATCHES:
            self._fetch()

    def _fetch(self) -> None:
        """Take what was seen from the device."""
        waiting, self._waiting = self._waiting, []
        for rows, values, gold in waiting:
            names = rows.tolist() if self._names is None else [self._names[row] for row in rows.tolist()]
            self._add(names, values.float().cpu().numpy(), gold.cpu().numpy())

    def _add(self, names: Sequence[Guid], logits: np.ndarray, gold: np.ndarray) -> None:
        good = np.asarray(np.isfinite(logits).all(1))
        if not good.all() and not self._told:
            self._told = True
            wrong = [name for name, fine in zip(names, good.tolist(), strict=True) if not fine]
            warnings.warn(
                f"The logits of {texts_in_words(len(wrong))} ({listed(wrong)}) in epoch {self._store.epoch} are no "
                "numbers, or there is no label, and such ones are not recorded; has the training diverged?",
                stacklevel=2,
            )
        for name, row, label, fine in zip(names, logits.tolist(), gold.tolist(), good.tolist(), strict=True):
            if fine:
                self._store.put(name, ([_short(value) for value in row], label))

    def _keep(self) -> None:
        """Write the epoch as far as it is; a training is worth more than its record, so a full disk does not end it."""
        self._fetch()
        try:
            self._store.write()
        except SelectionError as error:
            warnings.warn(str(error), stacklevel=2)

    def _evaluate(self, model: nn.Module, loader: DataLoader[Any], args: Any) -> None:
        """Run the model as it now is over this process's share of all rows; modes and random numbers stay."""
        assert self._watch is not None, "the training has begun"
        process, processes = self._store.part or (0, 1)
        n_rows = len(loader.dataset)  # pyright: ignore[reportArgumentType] - a stream was refused
        share = math.ceil(n_rows / processes)  # all processes compute as often, for those that share a model wait
        rows = [(process + processes * number) % n_rows for number in range(share)]
        batches = DataLoader(
            loader.dataset,
            batch_size=args.per_device_eval_batch_size,
            sampler=rows,
            collate_fn=loader.collate_fn,
            generator=torch.Generator(),  # else it would draw a number from everybody's
        )
        modes = {module: module.training for module in model.modules()}
        self._watch.close()
        self._watch = Watch(model, self._see)
        try:
            model.eval()
            with torch.no_grad(), within_memory(type(model).__name__, "training"):
                for batch in batches:
                    model(**{name: v.to(args.device) if isinstance(v, Tensor) else v for name, v in batch.items()})
        finally:
            for module, training in modes.items():
                module.training = training
            self._watch.close()
            self._watch = Watch(model, self._see, silent=True)


class _Store:
    """The records of one epoch, and where they are written."""

    def __init__(self, folder: Folder, compress: bool, part: tuple[int, int] | None) -> None:
        self.folder, self.compress, self.part = folder, compress, part
        self.epoch: int | None = None
        self._records: dict[Guid, Record] = {}
        self._changed = False

    def put(self, name: Guid, record: Record) -> None:
        """Record a text, in the place of what was recorded of it in this epoch before."""
        self._records[name] = record
        self._changed = True

    def begin(self, epoch: int, write: bool = True) -> None:
        """Go on with an epoch; write the one before, if asked.

        Raises:
            SelectionError: If it is an earlier one, or that before cannot be written.
        """
        if epoch == self.epoch:
            return
        if self.epoch is not None:
            if epoch < self.epoch:
                raise SelectionError(
                    f"Epoch {epoch} came after epoch {self.epoch}; record epochs one after the other, each in one go."
                )
            if write:
                self.write()
            self._records, self._changed = {}, False
        self.epoch = epoch

    def write(self) -> None:
        """Write the epoch as far as it is, in the place of what was written of it before."""
        if self.epoch is not None and self._changed:
            write_epoch(self.folder, self._name(self.epoch), self.epoch, self._records)
            self._changed = False

    def resume(self, epoch: int, anew: bool | None = None) -> None:
        """Take up an epoch in which a training is resumed, and forget what an earlier course of it came to later.

        Raises:
            SelectionError: If it begins anew (with epoch 0, if None), and another training is recorded there.
        """
        self.epoch, self._records, self._changed = None, {}, False
        known = recorded_epochs(self.folder)
        if known and (epoch == 0 if anew is None else anew):
            raise SelectionError(
                f"{self.folder} holds the dynamics of another training (epoch {listed([*known])}); give an empty "
                "folder, or resume that training from a checkpoint."
            )
        for other, names in known.items():
            own = self._name(other)
            if other == epoch and own in names:
                self._records = read_epoch(self.folder, own, epoch)
            for name in names if other > epoch else ():
                self.folder.remove(name)

    def _name(self, epoch: int) -> str:
        return file_name(epoch, *(self.part or _process()), self.compress)


def _process() -> tuple[int, int]:
    """Which process this is, and of how many."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _names(texts: Sequence[Any]) -> list[Guid]:
    names = [text.guid if isinstance(text, Text) else _guid(text) for text in texts]
    if len(set(names)) < len(names):
        known: set[Guid] = set()
        twice = [name for name in names if name in known or known.add(name)]
        raise SelectionError(
            f"{texts_in_words(len(twice))} of {len(names):,} in texts= are called as another one: {listed(twice)}; "
            "names have to tell texts apart."
        )
    return names


def _guid(value: Any) -> Guid:
    value = value.item() if isinstance(value, (Tensor, np.generic)) and np.ndim(value) == 0 else value
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise SelectionError(
            f"A text is called {str(value)[:60]!r}, a {type(value).__name__}; give whole numbers or strings as names."
        )
    return value


def _array(values: Any, what: str) -> np.ndarray:
    try:
        found = values.detach().float().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise SelectionError(f"The {what} are no numbers in rows of one length; give a tensor or an array.") from error
    return found


def _short(value: float) -> float:
    """Seven digits, which is all that half and single precision know."""
    return float(f"{value:.7g}")
