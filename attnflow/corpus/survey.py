"""Runs a checkpoint over many texts in one pass and keeps a row of each: decision, vectors, behaviour, influence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from attnflow import progress as progress_module
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus import survey_files as files
from attnflow.corpus.gold import match_labels
from attnflow.corpus.survey_join import join_parts
from attnflow.corpus.survey_part import survey_part
from attnflow.corpus.texts import open_texts
from attnflow.errors import SelectionError, UnsupportedArchitectureError
from attnflow.methods.heads.head_parameters import head_parameters
from attnflow.records.survey import Survey, SurveySettings
from attnflow.records.texts import Columns, Text, Texts, fingerprint
from attnflow.records.trace import Head, check_heads, is_whole
from attnflow.runtime.capture import capture
from attnflow.runtime.encode import encode
from attnflow.runtime.load import load_checkpoint
from attnflow.runtime.memory import within_memory
from attnflow.stats.attention_graph import Threshold, check_tau
from attnflow.stats.attention_kinds import KINDS, stack_kinds

PART_SIZE = 256
"""Texts that are sorted and run together: enough to waste little on padding, few enough to be lost with a process."""
_PROBE = ("One, two and three.", "Four, five.")
"""What the kinds of token of a model are found with."""

TooLong = Literal["cut", "leave_out"]


def survey(
    checkpoint_ref: Checkpoint | str | os.PathLike[str],
    texts: Texts | Sequence[Text] | str,
    *,
    pruned: Iterable[Head] = (),
    labels: Mapping[str, str | None] | None = None,
    tau: Threshold | None = None,
    too_long: TooLong = "cut",
    max_tokens: int | None = None,
    heads: bool = False,
    token: str | None = None,
    out: str | os.PathLike[str] | None = None,
    part_size: int = PART_SIZE,
    progress: progress_module.Listener | None = None,
) -> Survey:
    """Read every text of a collection and keep what there is to know of each, in their order.

    Texts run in parts of `part_size`, each in batches of similar length. Memory does not grow with their number beyond
    what is kept: about `2 (L + 1) D + 4 L H kinds` bytes a text, and `4 L` more for each of its words. With `out`, each
    part is on disk as soon as it is done; what was killed or cancelled goes on where it was, and what is finished is
    opened.

    A text that cannot be read keeps its row, and `Survey.reasons` says why.

    Args:
        checkpoint_ref: A checkpoint, or what `load_checkpoint` takes.
        texts: What `open_texts` gives, or takes by its name alone; or rows of one's own with a name each.
        pruned: Heads `(layer, head)` that are switched off.
        labels: The model's class by the label of the texts, as `match_labels` takes it. Others are matched by name;
            those that match none have no loss and are neither right nor wrong (`Survey.unmatched`).
        tau: Threshold of the attention graphs: one number, or `[L]`; each text's own by `ring_tau` if None.
        too_long: What becomes of a text with more tokens than fit: it is cut, or it is left out.
        max_tokens: Most tokens of a text, where that is less than the model's own bound.
        heads: Whether mean attention and importance of every head are added up, too (`Survey.head_state`): a backward
            pass more, and `16 L H T T` bytes for each part until all are there. Of a model without a trained head for
            whole texts the importance is left out.
        token: Hub access token for a gated or private checkpoint or data set that is named, and for nothing else.
        out: A folder to keep it in; if None, it is in memory alone.
        part_size: Texts that are run and kept together; another number may change the last digits.
        progress: Is told what is going on and how much of it is done, from 0 to 1; what it raises ends the pass.

    Raises:
        SelectionError: If there are no texts, two have one name, an argument is out of range, the folder holds another
            survey or cannot be written, or not one text can be read.
        CheckpointError: If the checkpoint cannot be loaded.
        TextsError: If texts that are named cannot be opened.
        UnsupportedArchitectureError: If it cannot be recorded, or `heads` are asked for and it is an encoder-decoder
            that is read whole.

    Example:
        >>> from attnflow.records.texts import Text
        >>> texts = [Text("1", "Anna lent Paul a book.", "Paul borrowed a book from Anna.", "supported")]
        >>> found = survey("demo/finetuned", texts)
        >>> found.decision_names, found.hidden.shape, found.right.tolist()
        (('supported',), (5, 1, 128), [True])
    """
    checkpoint = (
        checkpoint_ref if isinstance(checkpoint_ref, Checkpoint) else load_checkpoint(checkpoint_ref, token=token)
    )
    texts = open_texts(texts, token=token) if isinstance(texts, str) else texts
    label_map = label_classes(texts, checkpoint, labels or {})
    settings = survey_settings(
        checkpoint,
        texts,
        pruned=pruned,
        label_map=label_map,
        tau=tau,
        too_long=too_long,
        max_tokens=max_tokens,
        heads=heads,
        part_size=part_size,
    )
    with within_memory(checkpoint.name, "texts"), progress_module.reporting(progress):
        if out is None:
            return _check_any(join_parts(_computed(checkpoint, texts, settings, label_map), settings, label_map))
        place = files.begin(out, settings)
        if not files.is_whole(place):
            parts = _computed(checkpoint, texts, settings, label_map, place)
            files.write_rest(place, join_parts(parts, settings, label_map, place))
            files.remove_parts(place)
        found = files.open_survey(place)
        if found.label_map != label_map:
            found = replace(found, label_map=label_map)
            files.write_rest(place, found)
        return _check_any(found)


def check_asked(texts: Texts | Sequence[Text], too_long: str, part_size: Any, max_tokens: Any) -> None:
    """Check what every run over texts is asked for.

    Raises:
        SelectionError: If there are no texts, two have one name, or an argument is out of range.
    """
    if not len(texts):
        raise SelectionError("There are no texts; give at least one.")
    names = {text.guid for text in texts}
    if len(names) < len(texts):
        raise SelectionError(f"{len(texts)} texts have only {len(names)} names; give each its own guid.")
    if too_long not in get_args(TooLong):
        raise SelectionError(f"too_long is {too_long!r}; give 'cut' or 'leave_out'.")
    for name, number in (("part_size", part_size), ("max_tokens", max_tokens)):
        if not (is_whole(number) and number > 0) and not (name == "max_tokens" and number is None):
            raise SelectionError(f"{name} is {number!r}; give a whole number from 1.")


def survey_settings(
    checkpoint: Checkpoint,
    texts: Texts | Sequence[Text],
    *,
    pruned: Iterable[Head] = (),
    label_map: Mapping[str, str] | None = None,
    tau: Threshold | None = None,
    too_long: TooLong = "cut",
    max_tokens: int | None = None,
    heads: bool = False,
    part_size: int = PART_SIZE,
) -> SurveySettings:
    """All that a survey depends on; arguments and errors as those of `survey`, `label_map` as in the record."""
    check_asked(texts, too_long, part_size, max_tokens)
    if heads:
        checkpoint.check_one_stack("Means of attention over many texts")
    own, head = texts.columns if isinstance(texts, Texts) else None, checkpoint.head
    return SurveySettings(
        model=checkpoint.name,
        commit=checkpoint.sha,
        precision=str(checkpoint.model.dtype).removeprefix("torch."),
        texts=texts.fingerprint if isinstance(texts, Texts) else fingerprint(texts),
        n=len(texts),
        columns=() if own is None else (own.text_a, own.text_b, own.label, own.guid),
        pruned=tuple(sorted(check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads))),
        tau=None if tau is None else tuple(check_tau(tau, checkpoint.n_layers).tolist()),
        too_long=too_long,
        max_tokens=min((one for one in (max_tokens, checkpoint.max_tokens) if one is not None), default=None),
        n_layers=checkpoint.n_layers,
        n_heads=checkpoint.n_heads,
        width=checkpoint.width,
        labels=head.labels if head.classifies_texts else (),
        problem=head.problem,
        kinds=_kinds_of(checkpoint, any(text.text_b for text in texts)),
        heads=heads,
        stacks=None if checkpoint.stacks is None else astuple(checkpoint.stacks),
        importance=importance_method(checkpoint) if heads else None,
        importance_labels=tuple(sorted((label_map or {}).items())) if heads else (),
        part_size=part_size,
    )


def _computed(
    checkpoint: Checkpoint,
    texts: Sequence[Text],
    settings: SurveySettings,
    label_map: Mapping[str, str],
    place: Path | None = None,
) -> Iterator[Survey]:
    """The parts in their order, each computed unless it is on disk already."""
    for number, start in enumerate(range(0, settings.n, settings.part_size)):

        def done(more: int, start: int = start) -> None:
            count = f"{start + more:,} of {settings.n:,} texts"
            progress_module.tell(f"{count} read by {settings.model}", (start + more) / settings.n)

        path = None if place is None else files.part_path(place, number)
        part = None if path is None else files.read_part(path, settings)
        if part is None:
            part = survey_part(checkpoint, texts[start : start + settings.part_size], settings, label_map, done)
            if path is not None:
                files.write_part(path, part)
        done(len(part))
        yield part


def _kinds_of(checkpoint: Checkpoint, pairs: bool) -> tuple[str, ...]:
    """The kinds of token that the texts of a model have: it may write no special ones, or see nothing that follows."""
    trace = capture(checkpoint, encode(checkpoint, *_PROBE[: 1 + pairs], truncate=True))
    kinds = stack_kinds(trace.tokens)
    there = {"first": kinds[0].any(), "separator": kinds[1].any(), "next": np.triu(trace.attention, 1).any()}
    return tuple(kind for kind in KINDS if there.get(kind, True))


def importance_method(checkpoint: Checkpoint) -> Literal["taylor", "gate"] | None:
    """`taylor`, or `gate` where the parameters of single heads cannot be told apart; None without a loss."""
    if not checkpoint.head.classifies_texts:
        return None
    try:
        head_parameters(checkpoint)
    except UnsupportedArchitectureError:
        return "gate"
    return "taylor"


def label_classes(
    texts: Texts | Sequence[Text], checkpoint: Checkpoint, choice: Mapping[str, str | None]
) -> dict[str, str]:
    """The class of the model that each label of the texts stands for, by the choice or by name; of regressions none."""
    head = checkpoint.head
    classes = head.labels if head.classifies_texts and head.problem != "regression" else ()
    if not classes:
        if choice:
            raise SelectionError(f"{checkpoint.name} does not decide between classes, so labels cannot stand for any.")
        return {}
    if not isinstance(texts, Texts) or not texts.label_names:
        names = tuple(sorted({str(text.label) for text in texts if text.label is not None}))
        texts = Texts(tuple(texts), "rows", Columns("text_a"), names)
    return dict(match_labels(texts, classes, choice).classes)


def _check_any(found: Survey) -> Survey:
    if not found.usable.any():
        raise SelectionError(f"None of {len(found):,} texts could be read; the first: {found.reasons[0]}")
    return found
