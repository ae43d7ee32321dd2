"""Mean faithfulness of every method over many pairs, beside random rankings.

    python -m tests.bench.faithfulness FOLDER PAIRS [--pairs 200] [--seed 0] [--unit word] [--rankings 16] [--out FILE]
                                       [--only METHOD ...]
    python -m tests.bench.faithfulness demo/finetuned assets/demo/pairs.jsonl

FOLDER is a checkpoint (a folder or a bundled reference), PAIRS a table with tabs whose last two columns are the
sentences, or the bundled `pairs.jsonl`. There the generator knows the words that decide, and a last column tells how
often each method puts one of them on top. Influence stands there with one threshold, as it is a method, and with those
of each layer, as the page draws it. Last, how much of the score each method that promises a sum leaves out, and by how
much methods that ask the same differ, pair by pair. Words are ranked, or with --unit piece the pieces of the tokenizer.
Interrupted, it tells what it has; with --out every pair is written to a file as it is done, and a run with the same
arguments goes on after the last one.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypedDict, get_args

import numpy as np

from attnflow import (
    Checkpoint,
    UnsupportedArchitectureError,
    attention_graph,
    encode,
    influence,
    load_checkpoint,
    ring_tau,
)
from attnflow.checkpoints.checkpoint import BUNDLED
from attnflow.methods.edges import run_with_weights
from attnflow.methods.saliency.erasure import measure
from attnflow.methods.saliency.explain import answer
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.ranked import by_unit, units_of
from attnflow.methods.score_function import Question, ask
from attnflow.records.trace import Encoding, Weights
from attnflow.records.words import Unit


@dataclass(frozen=True)
class Row:
    """A pair, and the characters of the words that decide it, by sentence, if they are known."""

    text_a: str
    text_b: str
    deciding: tuple[list[tuple[int, int]], list[tuple[int, int]]] | None = None


def read(path: Path) -> list[Row]:
    """Read a file of pairs."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    if path.suffix == ".jsonl":
        return [_bundled(json.loads(line)) for line in lines]
    return [Row(*line.split("\t")[-2:]) for line in lines[1:] if line.count("\t") > 1]


def _bundled(pair: dict) -> Row:
    chosen = tuple([tuple(pair[f"words_{s}"][word]) for word in pair[f"deciding_{s}"]] for s in "ab")
    return Row(pair["text_a"], pair["text_b"], chosen)


def deciding(row: Row, encoding: Encoding) -> np.ndarray:
    """`[T]`: the pieces of the words that decide."""
    tokens, found = encoding.tokens, np.zeros(len(encoding.tokens), bool)
    for sentence, spans in enumerate(row.deciding or ((), ())):
        for start, end in spans:
            found |= (tokens.sentence == sentence) & (tokens.span[:, 0] < end) & (tokens.span[:, 1] > start)
    return found


BY_LAYER: dict[str, tuple[str, Weights]] = {
    "influence_by_layer": ("… with thresholds by layer, by attention", "attention"),
    "influence_norm_by_layer": ("… by norm", "norm"),
    "influence_previous_layer_by_layer": ("… by contribution", "previous_layer"),
}
"""Influence as the page draws it: title and edges."""
COMPARED = (
    ("norm_rollout", "attention_rollout"),
    ("value_zeroing", "attention_rollout"),
    ("influence_norm_by_layer", "influence_by_layer"),
    ("influence_previous_layer_by_layer", "influence_by_layer"),
)
"""Methods whose merits are compared pair by pair."""


class Merits(TypedDict):
    """How faithful a ranking of one pair is, mean over the fractions and both ways of removal."""

    comprehensiveness: float
    sufficiency: float


class Measured(Merits):
    """The same of a method."""

    beats: bool
    """Whether it beats random rankings."""
    hit: bool
    """Whether its top unit is one that decides."""
    missing: float | None
    """The residual as a share of the score; None if the method promises no sum."""


class Pair(TypedDict):
    """What was measured of one pair."""

    methods: dict[str, Measured]
    random: Merits
    """Mean over the random rankings."""
    chance: float
    """How often a random unit decides."""


def explained(question: Question, name: str) -> tuple[np.ndarray, float | None]:
    """Values `[T]` of a method or of `BY_LAYER`, and the residual as a share of the score.

    Raises:
        UnsupportedArchitectureError: If the architecture does not allow it.
    """
    if name in METHODS:
        one = answer(question, METHODS[name])
        return one.values, abs(one.residual / one.total) if one.residual is not None and one.total else None
    trace = run_with_weights(question.checkpoint, question.encoding, question.trace, BY_LAYER[name][1])
    graph = attention_graph(trace, ring_tau(trace, root=question.root), root=question.root)
    return influence(graph)[0].astype(float), None


def measured(checkpoint: Checkpoint, row: Row, unit: Unit, rankings: int, names: Iterable[str]) -> Pair:
    """Explain one pair by each of the methods that its architecture allows."""
    encoding = encode(checkpoint, row.text_a, row.text_b)
    question = ask(checkpoint, encoding)
    answers: dict[str, tuple[np.ndarray, float | None]] = {}
    for name in names:
        with suppress(UnsupportedArchitectureError):
            answers[name] = explained(question, name)
    values = {name: one for name, (one, _) in answers.items()}
    found = measure(question, values, unit=unit, at_random=rankings)
    units = units_of(encoding.tokens, question.words, unit)
    right = by_unit(deciding(row, encoding).astype(float), units) > 0
    return {
        "methods": {
            name: {
                "comprehensiveness": float(found.comprehensiveness[at].mean()),
                "sufficiency": float(found.sufficiency[at].mean()),
                "beats": bool(found.beats_random[at]),
                "hit": bool(right[np.argmax(by_unit(one, units))]),
                "missing": missing,
            }
            for at, (name, (one, missing)) in enumerate(answers.items())
        },
        "random": {
            "comprehensiveness": float(found.random_comprehensiveness.mean()),
            "sufficiency": float(found.random_sufficiency.mean()),
        },
        "chance": float(right.mean()),
    }


def _ids(checkpoint: Checkpoint, row: Row) -> list[int]:
    return checkpoint.tokenizer.tokenizer(row.text_a, row.text_b)["input_ids"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("pairs_file", type=Path)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unit", choices=get_args(Unit), default="word")
    parser.add_argument("--rankings", type=int, default=16, help="random ones")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", nargs="+", choices=[*METHODS, *BY_LAYER], default=[*METHODS, *BY_LAYER])
    given = parser.parse_args()
    name = given.checkpoint
    checkpoint = load_checkpoint(name if name in BUNDLED else Path(name))
    rows = read(given.pairs_file)
    random.Random(given.seed).shuffle(rows)
    fitting = (row for row in rows if len(_ids(checkpoint, row)) <= checkpoint.max_tokens)
    kept = given.out and given.out.exists()
    pairs: list[Pair] = [json.loads(line) for line in given.out.read_text().splitlines()] if kept else []
    try:
        for row in islice(fitting, len(pairs), given.pairs):
            pairs.append(measured(checkpoint, row, given.unit, given.rankings, given.only))
            if given.out:
                with given.out.open("a") as file:
                    file.write(json.dumps(pairs[-1]) + "\n")
    except KeyboardInterrupt:
        print("Stopped early.")
    print(f"{checkpoint.name}, {len(pairs)} pairs of {given.pairs_file.name}, class predicted, by {given.unit}")
    print("mean (standard error)\n")
    print("\n".join(table(pairs, known=rows[0].deciding is not None)))


def table(pairs: Sequence[Pair], *, known: bool) -> Iterator[str]:
    """The lines of a table, a method each; last what is missing of the sums that methods promise.

    Args:
        pairs: What was measured.
        known: Whether it is known which words decide.
    """
    yield f"| method | merit | comprehensiveness | sufficiency | beats random |{' deciding word on top |' * known}"
    yield f"|---|---|---|---|---|{'---|' * known}"
    for name in pairs[0]["methods"]:
        of = [pair["methods"][name] for pair in pairs]
        top = f" {np.mean([one['hit'] for one in of]):.0%} |" if known else ""
        yield f"| {_title(name)} {_merits(of)} {np.mean([one['beats'] for one in of]):.0%} |{top}"
    top = f" {np.mean([pair['chance'] for pair in pairs]):.0%} |" if known else ""
    yield f"| *random* {_merits([pair['random'] for pair in pairs])} |{top}"
    yield ""
    for name in pairs[0]["methods"]:
        missing = [share for pair in pairs if (share := pair["methods"][name]["missing"]) is not None]
        if missing:
            yield f"{_title(name)}: |residual| / |score|, median {np.median(missing):.2%}"
    for name, other in COMPARED:
        both = [pair["methods"] for pair in pairs if {name, other} <= pair["methods"].keys()]
        if len(both) > 1:
            apart = np.array([_merit(of[name]) - _merit(of[other]) for of in both])
            yield f"{_title(name)} less {_title(other)}: {apart.mean():.3f} ({_error(apart):.3f})"


def _title(name: str) -> str:
    return METHODS[name].title if name in METHODS else BY_LAYER[name][0]


def _merit(of: Merits) -> float:
    return of["comprehensiveness"] - of["sufficiency"]


def _error(values: np.ndarray) -> float:
    """Of their mean."""
    return values.std(ddof=1) / len(values) ** 0.5


def _merits(of: Sequence[Merits]) -> str:
    """Three cells."""
    merit = np.array([_merit(one) for one in of])
    lost, kept = (np.mean([one[kind] for one in of]) for kind in ("comprehensiveness", "sufficiency"))
    return f"| {merit.mean():.3f} ({_error(merit):.3f}) | {lost:.3f} | {kept:.3f} |"


if __name__ == "__main__":
    main()
