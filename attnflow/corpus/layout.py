"""Which files of a data set of the Hub make up which split of which configuration, by its card or by their names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

import yaml

from attnflow.corpus.columns import listed
from attnflow.corpus.files import format_of
from attnflow.errors import SelectionError

_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_FIRST = ("validation", "train")
"""The split that is taken if none is asked for: held out and, unlike many a test set, labelled."""
_SHARD = re.compile(r"(?:.*/)?([\w.-]+?)-\d{5}-of-\d{5}[^/]*")
_NO_DATA = re.compile(
    r"(?:.*/)?(?:readme|licen[cs]e|requirements|dataset_infos?|dataset_dict|config)\b[^/]*", re.IGNORECASE
)
_PREFERRED = ("parquet", "json", "csv", "tsv", "conllu", "text")
_MOST_PATTERNS = 200
_MOST_STARS = 12
_LARGEST_CARD = 1 << 19
_DEFAULT = "default"


@dataclass(frozen=True)
class Chosen:
    """One split."""

    name: str
    split: str
    files: tuple[str, ...]
    classes: Mapping[str, tuple[str, ...]]
    total: int | None


def read_card(text: str) -> Mapping[str, Any]:
    """The YAML between dashes at the beginning of a `README.md`; empty if there is none, or none that can be read."""
    found = re.match(r"\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", text[:_LARGEST_CARD], re.DOTALL)
    if found is None or "<<" in found[1]:  # merged keys of merged keys are a few lines and fill the memory
        return {}
    try:
        card = yaml.load(found[1], getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return card if isinstance(card, dict) else {}


def choose(
    files: Iterable[str], card: Mapping[str, Any], repo: str, name: str | None, split: str | None
) -> Chosen | None:
    """The files of the split that is asked for; None if no file can be read here.

    Args:
        files: Paths of all files of the repository.
        card: What `read_card` found. Its patterns only choose among these files: a path or address that leads
            elsewhere matches nothing.
        repo: What the data set is called, for messages.
        name: Configuration; if None the only one, or the one that is the default.
        split: If None the only one, or the first of `validation`, `train` and the rest.

    Raises:
        SelectionError: If there is no such configuration or split, or no default among several.
    """
    known = sorted(file for file in files if _is_data(file))
    if not known:
        return None
    entries = {_word(one.get("config_name")) or _DEFAULT: one for one in _entries(card.get("configs"))} or {
        _DEFAULT: {}
    }
    defaults = [one for one, entry in entries.items() if entry.get("default") is True]
    name = _chosen_name(entries, defaults, repo, name)
    splits = _by_patterns(entries[name], known)
    if not splits:
        return None
    infos = {_word(one.get("config_name")) or _DEFAULT: one for one in _entries(card.get("dataset_info"))}
    info = infos.get(name, next(iter(infos.values())) if len(infos) == 1 == len(entries) else {})
    split = _chosen_split(splits, f"{repo} ({name})", split)
    return Chosen(name, split, splits[split], _classes(info), _rows(info).get(split))


def choose_converted(files: Iterable[str], repo: str, name: str | None, split: str | None) -> Chosen | None:
    """The same for the branch in which the Hub keeps data sets as Parquet: a folder each, and one a split."""
    found: dict[str, dict[str, list[str]]] = {}
    for file in sorted(files):
        parts = PurePosixPath(file).parts
        if len(parts) == 3 and format_of(file) == "parquet":
            found.setdefault(parts[0], {}).setdefault(parts[1].removeprefix("partial-"), []).append(file)
    if not found:
        return None
    name = _chosen_name(found, [], repo, name)
    split = _chosen_split(found[name], f"{repo} ({name})", split)
    return Chosen(name, split, tuple(found[name][split]), {}, None)


def _chosen_name(found: Collection[str], defaults: Sequence[str], repo: str, name: str | None) -> str:
    if name is None:
        likely = [*defaults[:1]] or [one for one in found if one == _DEFAULT] or [*found]
        if len(likely) > 1:
            raise SelectionError(f"{repo} has several configurations; choose one by its name: {listed(sorted(found))}.")
        return likely[0]
    if name not in found:
        raise SelectionError(f"{repo} has no configuration {str(name)[:60]!r}; it has {listed(sorted(found))}.")
    return name


def _chosen_split(splits: Collection[str], name: str, split: str | None) -> str:
    if split is None:
        return next((one for one in _FIRST if one in splits), next(iter(splits)))
    if split not in splits:
        raise SelectionError(f"{name} has no split {str(split)[:60]!r}; it has {listed(splits)}.")
    return split


def _is_data(file: str) -> bool:
    hidden = any(part.startswith((".", "__")) for part in PurePosixPath(file).parts)
    return format_of(file) is not None and not hidden and not _NO_DATA.fullmatch(file)


def _entries(value: Any) -> list[dict[str, Any]]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _by_patterns(entry: Mapping[str, Any], known: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Files of each split by the `data_files` of a configuration, or those in its `data_dir`."""
    folder = _word(entry.get("data_dir")).strip("./")
    inside = [file for file in known if not folder or file.startswith(folder + "/")]
    wanted = entry.get("data_files")
    if wanted is None:
        return _by_names(inside)
    if isinstance(wanted, dict):
        wanted = [{"split": split, "path": path} for split, path in wanted.items()]
    elif isinstance(wanted, str) or (isinstance(wanted, list) and all(isinstance(one, str) for one in wanted)):
        wanted = [{"split": "train", "path": wanted}]
    found: dict[str, tuple[str, ...]] = {}
    for one in _entries(wanted)[:_MOST_PATTERNS]:
        paths = one.get("path")
        patterns = [path for path in (paths if isinstance(paths, list) else [paths]) if isinstance(path, str)]
        matched = _matching(patterns[:_MOST_PATTERNS], inside, folder)
        if matched:
            found[_word(one.get("split")) or "train"] = _of_one_format(matched)
    return found


def _matching(patterns: Sequence[str], files: Sequence[str], folder: str) -> list[str]:
    full = [f"{folder}/{one}" if folder else one for one in (pattern.removeprefix("./") for pattern in patterns)]
    return list(dict.fromkeys(file for pattern in full for file in files if matches(file, pattern)))


def matches(file: str, pattern: str) -> bool:
    """Whether a path fits a pattern, in which `*` stops at a slash and `**` does not.

    Example:
        >>> matches("data/en/train-0.csv", "**/train-*"), matches("data/en/train-0.csv", "data/*.csv")
        (True, False)
    """
    if pattern.count("*") > _MOST_STARS:
        return False
    reached = {0}  # how many parts of the path can be used up by the parts of the pattern so far
    parts = file.split("/")
    for one in pattern.split("/"):
        if one == "**":
            reached = set(range(min(reached, default=len(parts) + 1), len(parts) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(parts) and fnmatchcase(parts[at], one.replace("**", "*"))}
    return len(parts) in reached


def _by_names(files: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Files of each split by the words in their names: `train-00000-of-00001.parquet`, `dev.tsv`, `test/1.csv`."""
    files = _of_one_format(files)
    shards = [_SHARD.fullmatch(file) for file in files]
    if files and all(shards):
        named = [found[1] if found else "" for found in shards]
        found = _grouped(files, [next((one for one in _SPLITS if _tells(name, one)), name) for name in named])
    else:  # as the datasets library does it: folders that are named so count alone, then files
        paths = [PurePosixPath(file) for file in files]
        found = _grouped(files, [_split_of(path.parent.parts) for path in paths])
        found = found or _grouped(files, [_split_of([path.name]) for path in paths])
    if not found and files:
        return {"train": tuple(files)}
    order = [*(one for one in _SPLITS if one in found), *(one for one in found if one not in _SPLITS)]
    return {split: tuple(found[split]) for split in order}


def _grouped(files: Sequence[str], splits: Sequence[str | None]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file, split in zip(files, splits, strict=True):
        if split is not None:
            found.setdefault(split, []).append(file)
    return found


def _split_of(names: Sequence[str]) -> str | None:
    return next((split for split in _SPLITS for name in names if _tells(name, split)), None)


def _tells(part: str, split: str) -> bool:
    words = re.split(r"[-._ 0-9]+", part.lower())
    return any(word in words for word in _SPLITS[split])


def _of_one_format(files: Sequence[str]) -> tuple[str, ...]:
    """Those of the files that have the same format, Parquet rather than others."""
    kinds = {file: format_of(file) for file in files}
    kind = next((one for one in _PREFERRED if one in kinds.values()), None)
    return tuple(file for file in files if kinds[file] == kind)


def _classes(info: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Names of the classes of each column, as far as the card tells them in the form that it should."""
    found = {}
    for feature in _entries(info.get("features")):
        kind = feature.get("dtype")
        label = kind.get("class_label") if isinstance(kind, dict) else None
        names = _names(label.get("names")) if isinstance(label, dict) else ()
        if names:
            found[_word(feature.get("name"))] = names
    return found


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        numbered = {_word(number): name for number, name in value.items()}
        value = [numbered.get(str(number)) for number in range(len(numbered))]
    names = tuple(map(_word, value)) if isinstance(value, list) else ()
    return names if all(names) else ()


def _rows(info: Mapping[str, Any]) -> dict[str, int]:
    """How many rows each split has, where the card says so."""
    told = {_word(one.get("name")): one.get("num_examples") for one in _entries(info.get("splits"))}
    return {split: rows for split, rows in told.items() if isinstance(rows, int) and rows > 0}


def _word(value: Any) -> str:
    """A name in a card; empty if it is none: what is nested may be small and open large."""
    return str(value) if isinstance(value, (str, int, float)) else ""
