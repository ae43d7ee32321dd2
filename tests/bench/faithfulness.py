"""Mean faithfulness of every method over many pairs, beside random rankings.

    python -m tests.bench.faithfulness FOLDER PAIRS [--pairs 200] [--seed 0] [--unit word]
    python -m tests.bench.faithfulness demo/finetuned assets/demo/pairs.jsonl

FOLDER is a checkpoint (a folder or a bundled reference), PAIRS a table with tabs whose last two columns are the
sentences, or the bundled `pairs.jsonl`. There the generator knows the words that decide, and a last column tells how
often each method puts one of them on top. Last, how much of the score each method that promises a sum leaves out. Words
are ranked, or with --unit piece the pieces of the tokenizer. Interrupted, it tells what it has.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np

from attnflow import Checkpoint, encode, load_checkpoint
from attnflow.checkpoints.checkpoint import BUNDLED
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.ranked import Unit, by_unit, units_of
from attnflow.methods.saliency.report import Report, report
from attnflow.methods.score_function import words_of
from attnflow.records.trace import Encoding


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


@dataclass(frozen=True)
class Found:
    """One pair: its report, whether the top unit of each method decides `[M]`, and how often a random one does."""

    report: Report
    hits: list[bool]
    chance: float

    def missing(self, row: int) -> float | None:
        """The residual of a method as a share of the score; None if it promises no sum."""
        one = self.report.answers[row]
        return abs(one.residual / one.total) if one.residual is not None and one.total else None


def measured(checkpoint: Checkpoint, row: Row, unit: Unit) -> Found:
    """Explain one pair by every method."""
    encoding = encode(checkpoint, row.text_a, row.text_b)
    found = report(checkpoint, encoding, unit=unit)
    units = units_of(encoding.tokens, words_of(checkpoint, encoding), unit)
    right = by_unit(deciding(row, encoding).astype(float), units) > 0
    hits = [bool(right[np.argmax(by_unit(one.values, units))]) for one in found.answers]
    return Found(found, hits, float(right.mean()))


def _ids(checkpoint: Checkpoint, row: Row) -> list[int]:
    return checkpoint.tokenizer.tokenizer(row.text_a, row.text_b)["input_ids"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("pairs_file", type=Path)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unit", choices=get_args(Unit), default="word")
    given = parser.parse_args()
    name = given.checkpoint
    checkpoint = load_checkpoint(name if name in BUNDLED else Path(name))
    rows = read(given.pairs_file)
    random.Random(given.seed).shuffle(rows)
    fitting = (row for row in rows if len(_ids(checkpoint, row)) <= checkpoint.max_tokens)
    all_found: list[Found] = []
    try:
        for row in islice(fitting, given.pairs):
            all_found.append(measured(checkpoint, row, given.unit))
    except KeyboardInterrupt:
        print("Stopped early.")
    known, n = rows[0].deciding is not None, len(all_found)
    all_f = [one.report.faithfulness for one in all_found]
    hits, chance = np.array([one.hits for one in all_found]), np.mean([one.chance for one in all_found])
    print(f"{checkpoint.name}, {n} pairs of {given.pairs_file.name}, class predicted, by {given.unit}")
    print("mean (standard error)\n")
    print(f"| method | merit | comprehensiveness | sufficiency | beats random |{' deciding word on top |' * known}")
    print(f"|---|---|---|---|---|{'---|' * known}")
    for row, method in enumerate(METHODS.values()):
        merit = np.array([one.merit[row] for one in all_f])
        kinds = [np.mean([getattr(one, kind)[row].mean() for one in all_f]) for kind in KINDS]
        beats = np.mean([one.beats_random[row] for one in all_f])
        top = f" {hits[:, row].mean():.0%} |" if known else ""
        print(
            f"| {method.title} | {merit.mean():.3f} ({merit.std(ddof=1) / n**0.5:.3f}) | {kinds[0]:.3f} "
            f"| {kinds[1]:.3f} | {beats:.0%} |{top}"
        )
    merit = np.array([one.random_merit.mean() for one in all_f])
    kinds = [np.mean([getattr(one, f"random_{kind}").mean() for one in all_f]) for kind in KINDS]
    top = f" {chance:.0%} |" if known else ""
    print(
        f"| *random* | {merit.mean():.3f} ({merit.std(ddof=1) / n**0.5:.3f}) | {kinds[0]:.3f} | {kinds[1]:.3f} | |{top}"
    )
    print()
    for row, method in enumerate(METHODS.values()):
        missing = [share for one in all_found if (share := one.missing(row)) is not None]
        if missing:
            print(f"{method.title}: |residual| / |score|, median {np.median(missing):.2%}")


KINDS = ("comprehensiveness", "sufficiency")

if __name__ == "__main__":
    main()
