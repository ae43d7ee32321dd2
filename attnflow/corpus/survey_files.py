"""A survey on disk: each part in a file of its own while it is computed, and then columns in Parquet and plain arrays.

A file is written under another name, flushed to the disk and put in its place, so that it is whole or not there.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.corpus import part_files
from attnflow.corpus.part_files import writing
from attnflow.errors import SelectionError, brief
from attnflow.extras import needed
from attnflow.records.survey import Gold, Survey, SurveyedWords, SurveySettings

_WHOLE = "survey.json"
"""Written last: where it is, so is everything else."""
_ARRAYS = ("hidden", "behaviour", "offsets", "sentence", "start", "attended")
_SMALL = ("scores", "length", "cut")


def save(survey: Survey, folder: str | os.PathLike[str]) -> Path:
    """Write a survey into a folder: `texts.parquet`, one row a text, and its arrays as `.npy`.

    Args:
        survey: The survey.
        folder: Made if it is not there; what another survey left there is refused.

    Returns:
        The folder.

    Raises:
        SelectionError: If the folder holds another survey or cannot be written, or if pyarrow is not installed.
    """
    place = begin(folder, survey.settings)
    _write_arrays(place, survey, "hidden", "behaviour")
    write_rest(place, survey)
    return place


def write_rest(place: Path, survey: Survey) -> None:
    """Write all but `hidden.npy` and `behaviour.npy`, `survey.json` last, which says that the survey is whole."""
    parquet, pyarrow = needed("pyarrow.parquet", "pyarrow"), needed("pyarrow", "pyarrow")
    _write_arrays(place, survey, "offsets", "sentence", "start", "attended")
    with writing(place / "texts.parquet") as file:
        parquet.write_table(pyarrow.table(columns(survey)), file)
    with writing(place / "heads.npz") as file:
        np.savez(file, allow_pickle=False, **dict[str, Any](survey.head_state))
    with writing(place / _WHOLE) as file:
        told = {"settings": described(survey.settings), "label_map": dict(survey.label_map)}
        file.write(json.dumps(told, indent=1).encode())


def _write_arrays(place: Path, survey: Survey, *names: str) -> None:
    arrays = _arrays_of(survey)
    for name in names:
        with writing(place / f"{name}.npy") as file:
            np.save(file, arrays[name], allow_pickle=False)


def open_survey(folder: str | os.PathLike[str], *, in_memory: bool = False) -> Survey:
    """Open a survey that was saved.

    Args:
        folder: Where it lies.
        in_memory: Read the large arrays at once; else what is asked for is read from the disk, when it is.

    Raises:
        SelectionError: If there is none, it is not whole or not readable, or pyarrow is not installed.
    """
    place = Path(folder).expanduser()
    parquet = needed("pyarrow.parquet", "pyarrow")
    if not (place / _WHOLE).is_file():
        more = (
            "; it was not finished: run the same survey again, which goes on"
            if (place / part_files.PLAN).is_file()
            else ""
        )
        raise SelectionError(f"{place} holds no survey{more or '; give a folder that a survey was saved in'}.")
    try:
        told = json.loads((place / _WHOLE).read_bytes())
        settings = settings_from(told["settings"])
        table: dict[str, list[Any]] = parquet.read_table(place / "texts.parquet").to_pydict()
        how: Any = None if in_memory else "r"
        large = {name: np.load(place / f"{name}.npy", mmap_mode=how, allow_pickle=False) for name in _ARRAYS}
        with np.load(place / "heads.npz", allow_pickle=False) as states:
            heads = {name: states[name] for name in states}
        scores = [table[f"score: {label}"] for label in settings.labels]
        small = {
            "scores": np.array(scores, np.float32).T if scores else None,
            "length": np.array(table["length"], np.int32),
            "cut": np.array(table["cut"], np.int32),
        }
        told |= {"guids": table["guid"], "gold_labels": [json.loads(label) for label in table["label"]]}
        told["reasons"] = {row: reason for row, reason in enumerate(table["reason"]) if reason is not None}
        return _survey(settings, told, {**large, **small}, heads)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise SelectionError(f"{place} cannot be read as a survey ({brief(error)}); compute it anew.") from error


def columns(survey: Survey) -> dict[str, Any]:
    """What is known of each text, by the name of a column; `label` as JSON, for it may be a name or a number."""
    found: dict[str, Any] = {
        "guid": list(survey.guids),
        "label": [json.dumps(label) for label in survey.gold_labels],
        "decision": list(survey.decision_names),
        "confidence": survey.confidence,
        "loss": survey.loss,
        "entropy": survey.entropy,
        "length": survey.length,
        "cut": survey.cut,
        "reason": [survey.reasons.get(row) for row in range(len(survey))],
    }
    scores = () if survey.scores is None else survey.scores.T
    return found | {f"score: {label}": score for label, score in zip(survey.labels, scores, strict=True)}


def begin(folder: str | os.PathLike[str], settings: SurveySettings) -> Path:
    """Make a folder for a survey, unless it is there and holds the same one.

    Raises:
        SelectionError: If it holds another one, or cannot be written to.
    """
    made = part_files.LocalFolder(folder)
    part_files.begin(made, described(settings), "survey")
    return made.place


def is_whole(place: Path) -> bool:
    """Whether a folder holds a survey that is finished."""
    return (place / _WHOLE).is_file()


def part_path(place: Path, number: int) -> Path:
    """Where a part is kept until all are there."""
    return place / f"part-{number:06d}.npz"


def write_part(path: Path, part: Survey) -> None:
    """Keep a part."""
    told = {
        "settings": described(part.settings),
        "label_map": dict(part.label_map),
        "guids": part.guids,
        "gold_labels": part.gold_labels,
        "reasons": {str(row): reason for row, reason in part.reasons.items()},
    }
    heads: dict[str, Any] = {f"head_state/{name}": array for name, array in part.head_state.items()}
    kept = {name: array for name, array in _arrays_of(part).items() if array is not None}
    with writing(path) as file:
        np.savez(file, told=np.frombuffer(json.dumps(told).encode(), np.uint8), allow_pickle=False, **kept, **heads)


def read_part(path: Path, settings: SurveySettings) -> Survey | None:
    """A part that was kept; None if there is none, or it is damaged or of another survey."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file}
        told = json.loads(arrays.pop("told").tobytes())
        if told["settings"] != json.loads(json.dumps(described(settings))):
            return None
        prefix = "head_state/"
        heads = {name.removeprefix(prefix): arrays.pop(name) for name in list(arrays) if name.startswith(prefix)}
        return _survey(settings, told, arrays, heads)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def remove_parts(place: Path) -> None:
    """Remove the files of parts, which are no longer needed, and what a killed process left half written."""
    part_files.remove_parts(part_files.LocalFolder(place))


def settings_from(told: Mapping[str, Any]) -> SurveySettings:
    """Settings from JSON, in which tuples are lists.

    Raises:
        ValueError: If they are not those of this version.
    """
    told = {"stacks": None, **told}
    names = {one.name for one in fields(SurveySettings)}
    if set(told) != names or told["version"] != SurveySettings.version:
        raise ValueError(f"version {told.get('version')}, not {SurveySettings.version}")
    return SurveySettings(**{name: _tupled(value) for name, value in told.items()})


def described(settings: SurveySettings) -> dict[str, Any]:
    """Settings as they are written down; of a model of one stack without a word about stacks."""
    found = asdict(settings)
    return found if settings.stacks else {name: value for name, value in found.items() if name != "stacks"}


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


def _arrays_of(survey: Survey) -> dict[str, Any]:
    """All arrays but those of heads, by name."""
    own = {name: getattr(survey, name) for name in (*_SMALL, "hidden", "behaviour")}
    return own | {name: getattr(survey.words, name) for name in ("offsets", "sentence", "start", "attended")}


def _survey(
    settings: SurveySettings, told: Mapping[str, Any], arrays: Mapping[str, Any], heads: Mapping[str, NDArray[Any]]
) -> Survey:
    labels: list[Gold] = told["gold_labels"]
    return Survey(
        settings,
        tuple(told["guids"]),
        tuple(labels),
        arrays.get("scores"),
        arrays["length"],
        arrays["cut"],
        arrays["hidden"],
        arrays["behaviour"],
        SurveyedWords(arrays["offsets"], arrays["sentence"], arrays["start"], arrays["attended"]),
        told["label_map"],
        {int(row): reason for row, reason in told["reasons"].items()},
        heads,
    )
