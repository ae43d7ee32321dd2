"""Puts the parts of a survey together, in memory or on disk, with one part in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.corpus.part_files import placing
from attnflow.methods.heads.importance import HeadImportance
from attnflow.records.survey import Survey, SurveyedWords, SurveySettings
from attnflow.stats.mean_attention import MeanAttention
from attnflow.stats.statistic import Statistic

_STATISTICS: dict[str, type[Statistic]] = {"mean_attention": MeanAttention, "importance": HeadImportance}


def join_parts(
    parts: Iterable[Survey], settings: SurveySettings, label_map: Mapping[str, str], place: Path | None = None
) -> Survey:
    """The survey of all texts from those of its parts, in their order, of which only one is in memory at a time.

    Args:
        parts: One or more, which may be computed as they are asked for.
        settings: Of the whole.
        label_map: Of the whole.
        place: A folder in which the large arrays are written, as `hidden.npy` and `behaviour.npy`; in memory if None.
    """
    with ExitStack() as stack:

        def array(name: str, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
            if place is None:
                return np.empty(shape, kind)
            return np.lib.format.open_memmap(stack.enter_context(placing(place / f"{name}.npy")), "w+", kind, shape)

        features = settings.n_layers * settings.n_heads * len(settings.kinds)
        hidden = array("hidden", (settings.n_layers + 1, settings.n, settings.width), np.float16)
        behaviour = array("behaviour", (settings.n, features), np.float32)
        slim: list[Survey] = []
        reasons: dict[int, str] = {}
        heads: dict[str, Statistic] = {}
        start = 0
        for part in parts:
            rows = slice(start, start + len(part))
            hidden[:, rows], behaviour[rows] = part.hidden, part.behaviour
            reasons |= {start + row: reason for row, reason in part.reasons.items()}
            for name, statistic in head_statistics(part).items():
                heads[name] = heads[name].merge(statistic) if name in heads else statistic
            slim.append(_without_large_arrays(part))
            start += len(part)
        if start != settings.n:
            raise ValueError(f"the parts hold {start} texts of {settings.n}")
        for one in (hidden, behaviour):
            if isinstance(one, np.memmap):
                one.flush()
    return Survey(
        settings,
        tuple(guid for part in slim for guid in part.guids),
        tuple(label for part in slim for label in part.gold_labels),
        None if slim[0].scores is None else np.concatenate([part.scores for part in slim if part.scores is not None]),
        np.concatenate([part.length for part in slim]),
        np.concatenate([part.cut for part in slim]),
        hidden,
        behaviour,
        SurveyedWords(
            np.cumsum([0, *np.concatenate([np.diff(part.words.offsets) for part in slim])], dtype=np.int64),
            np.concatenate([part.words.sentence for part in slim]),
            np.concatenate([part.words.start for part in slim]),
            np.concatenate([part.words.attended for part in slim], axis=1),
        ),
        dict(label_map),
        reasons,
        head_states(heads),
    )


def head_statistics(survey: Survey) -> dict[str, Statistic]:
    """`mean_attention` and `importance` of a survey that was asked for them: accumulators, to be merged or read."""
    states: dict[str, dict[str, Any]] = {}
    for name, array in survey.head_state.items():
        statistic, _, key = name.partition(".")
        states.setdefault(statistic, {})[key] = array
    return {name: _STATISTICS[name].from_state(state) for name, state in states.items()}


def head_states(statistics: Mapping[str, Statistic]) -> dict[str, NDArray[Any]]:
    """The states of several statistics in one dictionary, as in `Survey.head_state`; those of no text left out."""
    some = {name: one.state() for name, one in statistics.items() if one.n}
    return {f"{name}.{key}": array for name, state in some.items() for key, array in state.items()}


def _without_large_arrays(part: Survey) -> Survey:
    """The same with zeros that take no memory in the place of what has been copied, and nothing of heads."""
    hidden = np.broadcast_to(np.float16(0), part.hidden.shape)
    return replace(part, hidden=hidden, behaviour=np.broadcast_to(np.float32(0), part.behaviour.shape), head_state={})
