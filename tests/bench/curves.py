"""Pruning curves of a checkpoint on labelled pairs, by each importance order and at random.

    python -m tests.bench.curves FOLDER FILE [--pairs 400] [--steps 18] [--runs 8]

FOLDER holds a classifier of sentence pairs. FILE holds tab-separated lines with a heading, in which the first field is
the number of the class and the last two are the sentences (as in the Microsoft Research Paraphrase Corpus). The first
half of the pairs tells the importance, and the second half the accuracy, unless --same measures both on all pairs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from attnflow import (
    AttnflowError,
    encode,
    head_importance,
    load_checkpoint,
    normalise_importance,
    pruning_curve,
    ranking,
)
from attnflow.errors import TextError

ORDERS = ("taylor", "taylor by layer", "gate", "gate by layer", "ablation", "ablation by layer", "greedy", "random")
"""`by layer`: importance divided by the norm of its layer, as Michel et al. do."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.curves", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--steps", type=int, default=18)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--orders", default=",".join(ORDERS), help="some of " + ", ".join(ORDERS))
    parser.add_argument("--greedy-pairs", type=int, default=32, help="of the first half, for the greedy order")
    parser.add_argument("--same", action="store_true", help="importance and accuracy on the same pairs")
    chosen = parser.parse_args()
    try:
        _measure(chosen)
    except AttnflowError as error:
        sys.exit(str(error))


def _measure(chosen: argparse.Namespace) -> None:
    checkpoint = load_checkpoint(chosen.folder)
    encodings, labels = [], []
    for line in chosen.file.read_text(encoding="utf-8-sig").splitlines()[1:]:
        label, *_, text_a, text_b = line.split("\t")
        try:
            encodings.append(encode(checkpoint, text_a, text_b))
        except TextError:
            continue  # longer than the model reads
        labels.append(int(label))
        if len(labels) == chosen.pairs:
            break
    half = 0 if chosen.same else len(labels) // 2
    learn = slice(None) if chosen.same else slice(half)
    test = (encodings[half:], labels[half:])
    share = np.bincount(labels[half:]).max() / len(labels[half:])
    print(f"{len(labels)} pairs, accuracy on {len(labels) - half}; always the commonest class: {share:.3f}", flush=True)
    learned: dict[str, np.ndarray] = {}
    for name in chosen.orders.split(","):
        start = time.perf_counter()
        order: str | tuple[tuple[int, int], ...] = name
        method, _, scaled = name.partition(" ")
        if name == "greedy":
            some = slice(chosen.greedy_pairs)
            found = pruning_curve(checkpoint, encodings[some], labels[some], order=name, steps=chosen.steps)
            order = found.heads[0]
        elif name != "random":
            if method not in learned:
                learned[method] = head_importance(checkpoint, encodings[learn], labels[learn], method=method)
            order = ranking(normalise_importance(learned[method], "layer") if scaled else learned[method])
        curve = pruning_curve(checkpoint, *test, order=order, steps=chosen.steps, runs=chosen.runs)
        area = curve.area("accuracy")
        spread = f" ± {area.std(ddof=1):.3f} over {len(area)} runs, best {area.max():.3f}" if len(area) > 1 else ""
        taken = time.perf_counter() - start
        target = f"{curve.area().mean():.3f}  ({taken:.0f} s)"
        print(f"{name:<18} area under accuracy {area.mean():.3f}{spread}; of the target {target}")
        for removed, accuracy in zip(curve.removed, curve.accuracy.mean(0), strict=True):
            print(f"  {removed:3} {accuracy:.3f}", end="")
        print(flush=True)


if __name__ == "__main__":
    main()
