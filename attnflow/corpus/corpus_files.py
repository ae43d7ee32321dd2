"""The results of a run over a corpus: put together from its accumulators, kept in a folder, and opened again."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.corpus.corpus_part import Accumulators, accumulators_from, merge_into, states_of
from attnflow.corpus.measures import MEASURES
from attnflow.corpus.part_files import PLAN, Folder, open_folder
from attnflow.errors import SelectionError, brief
from attnflow.extras import needed
from attnflow.records.corpus import CorpusSettings, CorpusStatistics
from attnflow.stats.entropy import EntropyResult
from attnflow.stats.head_distances import HeadDistancesResult, HeadMap
from attnflow.stats.named_heads import name_heads
from attnflow.stats.surface import SurfaceResult

WHOLE = "corpus.json"
"""Written last: where it is, so is everything else."""
STATES = "states.npz"
TABLE = "heads.parquet"
"""A row for each head and group."""


def assemble(
    settings: CorpusSettings,
    accumulators: Accumulators,
    read: Mapping[str, int],
    cut: int,
    failed: Mapping[str, str],
) -> CorpusStatistics:
    """The results that follow from what all parts have seen.

    Args:
        settings: Of the run.
        accumulators: Merged; left as they are.
        read: By group: texts that were read.
        cut: Texts that were cut.
        failed: By the name of a text: why it could not be read.

    Raises:
        SelectionError: If not one text could be read.
    """
    if not accumulators:
        raise SelectionError(f"None of {settings.n:,} texts could be read; the first: {next(iter(failed.values()))}")
    states = states_of(accumulators.values())
    whole: Accumulators = {}
    for group in settings.groups:  # copies, for merging changes them
        keys = [key for key in accumulators if key[0] == group]
        copies = accumulators_from(keys, states_of(accumulators[key] for key in keys))
        merge_into(whole, {("", *key[1:]): copy for key, copy in copies.items()})
    by_group = {"": _results(settings, whole, "")}
    if settings.group_by is not None:
        by_group |= {group: _results(settings, accumulators, group) for group in settings.groups if read.get(group)}
    tables = {group: _table(results, settings) for group, results in by_group.items()}
    results = by_group.pop("")
    few = [group for group in by_group if read[group] == 1]
    notes = [f"{len(few)} groups have one text, so nothing can be told of its spread: {', '.join(few)[:200]}."]
    return CorpusStatistics(
        settings,
        results,
        by_group,
        sum(read.values()),
        dict(read),
        cut,
        dict(failed),
        tables,
        tuple(notes if few else ()),
        MappingProxyType(states),
    )


def save(found: CorpusStatistics, folder: Folder) -> None:
    """Write results: `states.npz`, `heads.parquet`, and last `corpus.json`, which says that they are whole.

    Raises:
        SelectionError: If the folder cannot be written to, or pyarrow is not installed.
    """
    parquet, pyarrow = needed("pyarrow.parquet", "pyarrow"), needed("pyarrow", "pyarrow")
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **dict[str, Any](found.states))
    folder.write(STATES, content.getvalue())
    rows = [{"group": group} | row for group in found.tables for row in found.rows(group)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    content = io.BytesIO()
    parquet.write_table(pyarrow.table({name: [row.get(name) for row in rows] for name in names}), content)
    folder.write(TABLE, content.getvalue())
    told = {
        "settings": asdict(found.settings),
        "read": dict(found.n_by_group),
        "cut": found.cut,
        "failed": dict(found.failed),
        "accumulators": _keys(found.settings, found.n_by_group),
    }
    folder.write(WHOLE, json.dumps(told, indent=1).encode())


def open_corpus(folder: str | os.PathLike[str] | Folder) -> CorpusStatistics:
    """Open what `corpus_statistics` or `attnflow corpus` kept in a folder.

    Args:
        folder: Its path, or an address that fsspec reaches.

    Raises:
        SelectionError: If there is nothing, it is not whole, or it is of another version.
    """
    place = open_existing(folder)
    told, states = place.read(WHOLE), place.read(STATES)
    if told is None or states is None:
        more = "; it was not finished: run it again, which goes on" if place.read(PLAN) is not None else ""
        raise SelectionError(
            f"{place} holds no statistics of a corpus{more or '; give a folder that they were kept in'}."
        )
    try:
        found: dict[str, Any] = json.loads(told)
        settings = settings_from(found["settings"])
        with np.load(io.BytesIO(states), allow_pickle=False) as file:
            arrays: dict[str, NDArray[Any]] = {name: file[name] for name in file}
        keys = [(str(group), str(measure), str(name)) for group, measure, name in found["accumulators"]]
        accumulators = accumulators_from(keys, arrays)
        return assemble(settings, accumulators, found["read"], found["cut"], found["failed"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise SelectionError(
            f"{place} cannot be read as statistics of a corpus ({brief(error)}); compute them anew."
        ) from error


def embedded(found: CorpusStatistics, seed: int = 0) -> HeadMap | None:
    """The heads in the plane; None if their distances were not asked for.

    Args:
        found: Results of a run.
        seed: Of the starts of the layout.
    """
    distances = found.results.get("head_distances")
    return distances.embed(seed) if isinstance(distances, HeadDistancesResult) else None


def open_existing(folder: str | os.PathLike[str] | Folder) -> Folder:
    """A folder that is there already; nothing is made.

    Raises:
        SelectionError: If it is not there.
    """
    if not isinstance(folder, str | os.PathLike):
        return folder
    if "://" not in str(folder) and not os.path.isdir(os.path.expanduser(folder)):
        raise SelectionError(f"There is no folder {os.fspath(folder)}; give one that statistics were kept in.")
    return open_folder(folder)


def settings_from(told: Mapping[str, Any]) -> CorpusSettings:
    """Settings from JSON, in which tuples are lists.

    Raises:
        ValueError: If they are not those of this version.
    """
    names = {one.name for one in fields(CorpusSettings)}
    if set(told) != names or told["version"] != CorpusSettings.version:
        raise ValueError(f"version {told.get('version')}, not {CorpusSettings.version}")
    found = CorpusSettings(**{name: _tupled(value) for name, value in told.items()})
    current = {(name, MEASURES[name].version) for name, _ in found.statistics}
    if set(found.statistics) != current:
        raise ValueError("its statistics are of another version")
    return found


def _keys(settings: CorpusSettings, read: Mapping[str, int]) -> list[tuple[str, str, str]]:
    """The accumulators of a run, in the order in which parts make them."""
    groups = [group for group in settings.groups if read.get(group)]
    return [(group, name, own) for group in groups for name, _ in settings.statistics for own in MEASURES[name].kinds]


def _results(settings: CorpusSettings, accumulators: Accumulators, group: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, _ in settings.statistics:
        measure = MEASURES[name]
        found[name] = measure.result({own: accumulators[group, name, own] for own in measure.kinds}, settings)
    return found


def _table(results: Mapping[str, Any], settings: CorpusSettings) -> dict[str, NDArray[Any]]:
    """All that is one number or name for each head."""
    found: dict[str, NDArray[Any]] = {}
    for name, result in results.items():
        found |= MEASURES[name].table(result)
    surface, entropy = results.get("surface"), results.get("entropy")
    if isinstance(surface, SurfaceResult) and isinstance(entropy, EntropyResult):
        found["name"] = np.array(
            [[", ".join(names) for names in layer] for layer in name_heads(surface, entropy).names]
        )
    return found


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value
