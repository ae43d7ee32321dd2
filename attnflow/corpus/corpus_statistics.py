"""What a model's heads do over a whole corpus: in this process or on a Ray cluster, in parts that can be taken up."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Literal, get_args

from attnflow import progress as progress_module
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus import local_engine, part_files, ray_engine
from attnflow.corpus.corpus_files import WHOLE, assemble, open_corpus, save
from attnflow.corpus.corpus_part import Accumulators, Part, merge_into
from attnflow.corpus.measures import MEASURES, StatisticName, choose
from attnflow.corpus.parts import Pace, Run
from attnflow.corpus.survey import PART_SIZE, TooLong, check_asked, importance_method, label_classes
from attnflow.errors import SelectionError
from attnflow.extras import needed
from attnflow.methods.hta.attribution import check_probes
from attnflow.records.corpus import CorpusSettings, CorpusStatistics
from attnflow.records.texts import Text, Texts, fingerprint
from attnflow.records.trace import is_whole
from attnflow.runtime.load import load_checkpoint
from attnflow.runtime.memory import within_memory
from attnflow.stats.coreference import Candidates
from attnflow.stats.word_attention import Pooling

Engine = Literal["local", "ray"]
MOST_GROUPS = 100
"""Each keeps everything once more."""
PROBES = 16
"""As many as the expected relative error of a contribution of a trained MiniLM is 6 % with."""
NO_VALUE = "(none)"
"""The group of texts without a value in the column."""


def corpus_statistics(
    checkpoint_ref: Checkpoint | str | os.PathLike[str],
    texts: Texts | Sequence[Text],
    statistics: Sequence[StatisticName | str],
    *,
    engine: Engine = "local",
    out: str | os.PathLike[str] | None = None,
    group_by: str | None = None,
    part_size: int = PART_SIZE,
    device: str = "auto",
    address: str | None = None,
    progress: progress_module.Listener | None = None,
    labels: Mapping[str, str | None] | None = None,
    too_long: TooLong = "cut",
    max_tokens: int | None = None,
    probes: int | None = PROBES,
    seed: int = 0,
    pooling: Pooling = "mean",
    candidates: Candidates = "before",
    workers: int | None = None,
) -> CorpusStatistics:
    """Compute statistics of a model's heads over many texts.

    Texts are read in parts of `part_size`, each in batches of similar length, and nothing of a single text is kept, so
    that memory does not grow with their number. With `out`, each part is kept as soon as it is done: what was killed or
    cancelled goes on where it was, with any engine, and what is finished is opened. A text that cannot be read is noted
    (`failed`), and the others go on.

    Parts are merged in their order, whoever computed them, so that engines give the same numbers, bit for bit where
    each part is computed by as many threads: one on Ray.

    Args:
        checkpoint_ref: A checkpoint, or what `load_checkpoint` takes.
        texts: What `open_texts` gives, or rows of one's own with a name each.
        statistics: Names of what to compute: `surface`, `entropy`, `attention_gradient`, `head_distances`, `positions`,
            `contribution_positions`, `agreement`, `patterns`, `mean_attention`, `importance`, and, of texts with trees,
            `dependencies`, of texts with chains, `coreference`.
        engine: `local`: this process. `ray`: the processes of this machine, or a cluster; needs the extra `cluster`.
        out: A folder to keep it in, or an address that fsspec reaches, such as `s3://bucket/run`; on a cluster one that
            all machines reach. If None, it is in memory alone.
        group_by: A column of the texts: everything is told for each of its values, too.
        part_size: Texts that are run and kept together; another number may change the last digits.
        device: Where the model runs, as `load_checkpoint` takes it; not looked at if a checkpoint is given.
        address: Of a Ray that is running; None starts one on this machine.
        progress: Is told what is going on and how much of it is done, from 0 to 1; what it raises ends the run.
        labels: The model's class by the label of the texts, as `match_labels` takes it, for what depends on a loss;
            others are matched by name, and a text without is measured by what the model predicts.
        too_long: What becomes of a text with more tokens than fit: it is cut, or it is left out.
        max_tokens: Most tokens of a text, where that is less than the model's own bound.
        probes: Gaussian probes that contributions of the input are estimated from; None for the exact values, which
            take minutes a text.
        seed: Of the words that are masked for `attention_gradient`, and of the probes.
        pooling: What a word that is several tokens attends to, for `dependencies` and `coreference`: the `mean` of
            them, or what the `first` does.
        candidates: Which words a head chooses antecedents from, for `coreference`: all `before` the mention, those of
            other `mentions` before it, or `all` others of the text.
        workers: Processes on Ray; None for one for each processor or GPU.

    Raises:
        SelectionError: If there are no texts, two have one name, an argument is out of range, the model cannot have a
            statistic, the folder holds something else or cannot be written, or not one text can be read.
        CheckpointError: If the checkpoint cannot be loaded.
        UnsupportedArchitectureError: If it cannot be recorded.
        EndedError: If a part ends its Ray worker again and again.

    Example:
        >>> from attnflow import open_texts
        >>> found = corpus_statistics("demo/finetuned", open_texts("demo/pairs", rows=8), ["surface", "entropy"])
        >>> found["surface"].mean.shape, found["surface"].kinds[:3], found.n
        ((4, 4, 8), ('self', 'previous', 'next'), 8)
    """
    if engine not in get_args(Engine):
        raise SelectionError(f"engine is {engine!r}; give 'local' or 'ray'.")
    if address is not None and engine != "ray":
        raise SelectionError(f"address is {address!r}, which is that of a Ray; give engine='ray', too.")
    if workers is not None and not (is_whole(workers) and workers > 0 and engine == "ray"):
        raise SelectionError(f"workers is {workers!r}; with engine='ray' give a whole number from 1, else nothing.")
    given = isinstance(checkpoint_ref, Checkpoint)
    checkpoint = checkpoint_ref if given else load_checkpoint(checkpoint_ref, device=device)
    settings, groups = corpus_settings(
        checkpoint,
        texts,
        statistics,
        group_by=group_by,
        part_size=part_size,
        labels=labels,
        too_long=too_long,
        max_tokens=max_tokens,
        probes=probes,
        seed=seed,
        pooling=pooling,
        candidates=candidates,
    )
    folder = None
    if out is not None:
        needed("pyarrow", "pyarrow")  # before anything is computed
        folder = part_files.open_folder(out)
        part_files.begin(folder, asdict(settings), "run over a corpus")
        if folder.read(WHOLE) is not None:
            return open_corpus(folder)
    run = Run(checkpoint, tuple(texts), groups, settings, folder)
    pace = Pace(f"Reading {settings.n:,} texts with {settings.model}", settings.n)
    with within_memory(checkpoint.name, "texts"), progress_module.reporting(progress):
        if engine == "ray":
            found = _merged(ray_engine.compute(run, pace, address, workers), settings)
        else:
            found = _merged(local_engine.compute(run, pace), settings)
    if folder is not None:
        save(found, folder)
        part_files.remove_parts(folder)
    return found


def corpus_settings(
    checkpoint: Checkpoint,
    texts: Texts | Sequence[Text],
    statistics: Sequence[str],
    *,
    group_by: str | None = None,
    part_size: int = PART_SIZE,
    labels: Mapping[str, str | None] | None = None,
    too_long: TooLong = "cut",
    max_tokens: int | None = None,
    probes: int | None = PROBES,
    seed: int = 0,
    pooling: Pooling = "mean",
    candidates: Candidates = "before",
) -> tuple[CorpusSettings, tuple[str, ...]]:
    """All that a run depends on, and the group of each text; arguments and errors as those of `corpus_statistics`."""
    check_asked(texts, too_long, part_size, max_tokens)
    if pooling not in get_args(Pooling):
        raise SelectionError(f"pooling is {pooling!r}; give 'mean' or 'first'.")
    if candidates not in get_args(Candidates):
        raise SelectionError(f"candidates is {candidates!r}; give 'before', 'mentions' or 'all'.")
    if not (is_whole(seed) and seed >= 0):
        raise SelectionError(f"seed is {seed!r}; give a whole number from 0.")
    measures = choose(statistics, checkpoint)
    chosen = [measure.name for measure in measures]
    for measure in measures:
        if measure.needs and all(map(measure.lacks, texts)):
            raise SelectionError(f"No text has {measure.needs}.")
    contributions = bool({"contribution_positions", "agreement"} & set(chosen))
    if contributions:
        check_probes(probes, checkpoint.width)
    by_loss = bool({"attention_gradient", "importance"} & set(chosen))
    classes = label_classes(texts, checkpoint, labels or {}) if by_loss or labels else {}
    groups = _groups(texts, group_by)
    settings = CorpusSettings(
        model=checkpoint.name,
        commit=checkpoint.sha,
        precision=str(checkpoint.model.dtype).removeprefix("torch."),
        texts=texts.fingerprint if isinstance(texts, Texts) else fingerprint(texts),
        n=len(texts),
        statistics=tuple((name, MEASURES[name].version) for name in chosen),
        group_by=group_by,
        groups=tuple(sorted(set(groups))),
        grouping=hashlib.sha256(json.dumps(groups).encode()).hexdigest(),
        too_long=too_long,
        max_tokens=min((one for one in (max_tokens, checkpoint.max_tokens) if one is not None), default=None),
        n_layers=checkpoint.n_layers,
        n_heads=checkpoint.n_heads,
        labels=tuple(sorted(classes.items())),
        importance=importance_method(checkpoint) if "importance" in chosen else None,
        probes=probes if contributions else None,
        seed=int(seed),
        pooling=pooling if {"dependencies", "coreference"} & set(chosen) else None,
        candidates=candidates if "coreference" in chosen else None,
        part_size=int(part_size),
    )
    return settings, groups


def _groups(texts: Texts | Sequence[Text], column: str | None) -> tuple[str, ...]:
    """`[N]`: the group of each text; the empty one without a column."""
    if column is None:
        return ("",) * len(texts)
    label = texts.columns.label if isinstance(texts, Texts) else None
    if column in ("label", label) and any(text.label is not None for text in texts):
        values = [text.label for text in texts]
    else:
        known = list(dict.fromkeys(name for text in texts for name in text.meta))
        if column not in known:
            own = ["label"] if any(text.label is not None for text in texts) else []
            named = ", ".join([*own, *known])[:300] or "none"
            raise SelectionError(f"There is no column {str(column)[:60]!r} to group by; choose {named}.")
        values = [text.meta.get(column) for text in texts]
    groups = tuple(NO_VALUE if value is None or value == "" else str(value)[:200] for value in values)
    count = len(Counter(groups))
    if count > MOST_GROUPS:
        raise SelectionError(
            f"The column {column!r} has {count:,} values, and there may be at most {MOST_GROUPS} groups; choose a "
            "column with fewer, or none."
        )
    return groups


def _merged(parts: Generator[Part], settings: CorpusSettings) -> CorpusStatistics:
    """The results of all parts, of which one is in memory at a time."""
    whole: Accumulators = {}
    read: Counter[str] = Counter()
    cut, failed = 0, dict[str, str]()
    with closing(parts):  # an engine ends with what it is asked for
        for part in parts:
            merge_into(whole, part.accumulators)
            read.update(part.read)
            cut += part.cut
            failed |= dict(part.failed)
    order = [key for group in settings.groups for key in whole if key[0] == group]
    return assemble(settings, {key: whole[key] for key in order}, dict(read), cut, failed)
