"""What `attnflow corpus` does: statistics of a model over a collection of texts, kept in a folder, and the gist."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.random_weights import random_weights as with_random_weights
from attnflow.corpus.corpus_statistics import PROBES, Engine, corpus_statistics
from attnflow.corpus.survey import PART_SIZE, TooLong
from attnflow.corpus.survey_command import ProgressLine, open_named_texts, pairs_of, say_reasons
from attnflow.errors import SelectionError
from attnflow.records.corpus import CorpusStatistics
from attnflow.records.head_names import head_name
from attnflow.records.shares import between, percent
from attnflow.runtime.load import load_checkpoint
from attnflow.runtime.memory import within_memory
from attnflow.stats.antecedents import RULES
from attnflow.stats.coreference import ALL as ALL_KINDS
from attnflow.stats.coreference import Candidates, CoreferenceResult
from attnflow.stats.dependencies import ALL, LEAST, DependencyResult
from attnflow.stats.proportion import Proportion
from attnflow.stats.word_attention import Pooling

CONTROLLED = ("dependencies", "coreference")
"""Statistics whose best head is told of random weights, too."""


def run(
    model: str,
    ref: str,
    out: str,
    statistics: Sequence[str],
    *,
    engine: Engine = "local",
    address: str | None = None,
    workers: int | None = None,
    group_by: str | None = None,
    probes: str = str(PROBES),
    pooling: Pooling = "mean",
    candidates: Candidates = "before",
    random_weights: bool = False,
    name: str | None = None,
    split: str | None = None,
    rows: int | None = None,
    seed: int = 0,
    columns: Sequence[str] = (),
    labels: Sequence[str] = (),
    too_long: TooLong = "cut",
    max_tokens: int | None = None,
    part_size: int = PART_SIZE,
    device: str = "auto",
    dtype: str | None = None,
) -> None:
    """Compute the statistics and print what stands out; arguments as `attnflow corpus --help` tells them.

    Raises:
        AttnflowError: As `open_texts`, `load_checkpoint` and `corpus_statistics`.
    """
    if probes != "exact" and not probes.isdecimal():
        raise SelectionError(f"--probes is {probes!r}; give a whole number, or exact.")
    chosen = pairs_of(labels, "--label", "LABEL=CLASS")
    texts = open_named_texts(ref, name, split, rows, seed, columns)
    checkpoint = load_checkpoint(model, device=device, dtype=dtype)
    controlled = [statistic for statistic in statistics if statistic in CONTROLLED]
    if random_weights and not controlled:
        raise SelectionError(f"--random-weights is for {' and '.join(CONTROLLED)}; name one after --statistics.")

    def computed(checkpoint: Checkpoint, statistics: Sequence[str], out: str) -> CorpusStatistics:
        return corpus_statistics(
            checkpoint,
            texts,
            statistics,
            engine=engine,
            out=out,
            group_by=group_by,
            part_size=part_size,
            address=address,
            progress=ProgressLine(),
            labels=chosen,
            too_long=too_long,
            max_tokens=max_tokens,
            probes=None if probes == "exact" else int(probes),
            seed=seed,
            pooling=pooling,
            candidates=candidates,
            workers=workers,
        )

    found = computed(checkpoint, statistics, out)
    control: Mapping[str, Any] = {}
    if random_weights:
        with within_memory(checkpoint.name, "loading"):
            drawn = with_random_weights(checkpoint)
        control = computed(drawn, controlled, f"{out.rstrip('/')}/random_weights").results
    print(file=sys.stderr)
    print(f"{found.settings.model}: {found.n:,} texts read, {found.cut:,} of them cut.")
    say_reasons(found.failed)
    for group in found.tables:
        _say_layers(found, group)
    names = found.table.get("name")
    if names is not None:
        _say_names(names)
    if "head_distances" in found.results:
        _say_distances(found)
    if "dependencies" in found.results:
        _say_relations(found["dependencies"], control.get("dependencies"))
    if "coreference" in found.results:
        _say_antecedents(found["coreference"], control.get("coreference"))
    for note in found.notes:
        print(note)
    print(f"Open it again: attnflow.open_corpus({out!r})")
    if "://" not in out:
        print(f"Or on the page: attnflow serve --corpora {shlex.quote(str(Path(out).absolute().parent))}")


def _say_layers(found: CorpusStatistics, group: str) -> None:
    """The mean over the heads of each layer, of every number that there is for each head."""
    numbers: Mapping[str, np.ndarray] = {
        name: values for name, values in found.tables[group].items() if values.dtype.kind == "f"
    }
    if not numbers:
        return
    of = f" of group {group!r}, {found.n_by_group[group]:,} texts" if group else ""
    width = max(map(len, numbers))
    print(f"Mean over the heads of each layer{of}:")
    print(f"  {'':{width}}  " + " ".join(f"{f'L{layer + 1}':>7}" for layer in range(found.settings.n_layers)))
    for name, values in numbers.items():
        means = [float(np.mean(layer[np.isfinite(layer)])) if np.isfinite(layer).any() else np.nan for layer in values]
        print(f"  {name:{width}}  " + " ".join(f"{mean:7.3g}" for mean in means))


def _say_names(names: np.ndarray) -> None:
    heads: dict[str, list[str]] = {}
    for place in np.ndindex(names.shape):
        for name in filter(None, str(names[place]).split(", ")):
            heads.setdefault(name, []).append(head_name((place[0], place[1])))
    for name, named in heads.items():
        print(f"Heads named {name!r}: {', '.join(named)}.")


def _say_distances(found: CorpusStatistics) -> None:
    distance, heads = found["head_distances"].distance, found.settings.n_heads
    layer = np.arange(len(distance)) // heads
    same, other = layer[:, None] == layer, ~np.eye(len(distance), dtype=bool)
    if (same & other).any() and (~same).any():
        print(
            f"Mean divergence between heads of one layer {distance[same & other].mean():.3f} nats, of different layers "
            f"{distance[~same].mean():.3f}."
        )


def _say_relations(found: DependencyResult, control: DependencyResult | None) -> None:
    """A row for each relation with enough cases: table 1 of Clark et al., and what is left on held-out sentences."""
    told = [ALL, *sorted((name for name in found.relations if found.n[name] >= LEAST), key=lambda name: -found.n[name])]
    width, more = max(map(len, told)), _RANDOM if control else ""
    print(
        "The head that finds most governors; on held-out sentences: chosen on one half of them, scored on the other; "
        "with 95 % intervals:"
    )
    print(
        f"  {'relation':{width}} {'cases':>7}  {'head':9} {'reads':10} {'found':>8}  {'held out':31}  "
        f"{'offset':14}{more}"
    )
    for name in told:
        best, baseline = found.best(name), found.baseline(name)
        assert best.layer is not None and best.head is not None and best.direction is not None
        offset = f"{_percent(baseline.held_out)} at {baseline.offset:+d}"
        random = f"{_percent(control.best(name).held_out):>16}" if control and control.n.get(name) else ""
        print(
            f"  {name:{width}} {found.n[name]:7,}  {head_name((best.layer, best.head)):9} {_READS[best.direction]:10} "
            f"{percent(best.on_all.share, 1):>8}  {_with_interval(best.held_out)}  {offset:14}{random}"
        )
    few = len(found.relations) - len(told) + 1
    if few:
        print(f"{few} relations have fewer than {LEAST} cases, and are left out.")


def _say_antecedents(found: CoreferenceResult, control: CoreferenceResult | None) -> None:
    """A row for each kind of mention: table 2 of Clark et al., and what is left on held-out texts."""
    print(
        f"The head that finds most antecedents, of candidates {found.candidates}; on held-out texts: chosen on one "
        "half of them, scored on the other; with 95 % intervals:"
    )
    rules, more = "  ".join(f"{rule:>10}" for rule in RULES), _RANDOM if control else ""
    print(f"  {'mentions':8} {'cases':>7}  {'head':9} {'found':>8}  {'held out':31}  {rules}{more}")
    for kind in (ALL_KINDS, *found.kinds):
        if not found.n[kind]:
            continue
        best = found.best(kind)
        random = f"{_percent(control.best(kind).held_out):>16}" if control and control.n[kind] else ""
        shares = "  ".join(f"{percent(found.baseline(rule, kind).share, 1):>10}" for rule in RULES)
        on_all = percent(best.on_all.share, 1)
        print(
            f"  {kind:8} {found.n[kind]:7,}  {head_name((best.layer, best.head)):9} {on_all:>8}  "
            f"{_with_interval(best.held_out)}  {shares}{random}"
        )
    if found.left_out:
        print(f"{found.left_out:,} mentions or all their antecedents are beyond what was read, and are left out.")


_RANDOM = "  random weights"
_READS = {"dependent to governor": "dependent", "governor to dependent": "governor"}
"""Whose attention it is that tells."""


def _percent(found: Proportion) -> str:
    return percent(found.share, 1) if found.n else "-"


def _with_interval(found: Proportion) -> str:
    low, high = found.interval
    return f"{_percent(found):>8} {f'({between(low, high)})':22}"
