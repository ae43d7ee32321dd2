"""How attention agrees with contribution on many pairs, by layer, next to the figures of the paper on BERT-base.

`python -m tests.bench.agreement CHECKPOINT PAIRS` takes a folder or Hub id, and a tab-separated table whose header line
names the columns `sentence_A` and `sentence_B`.
"""

from __future__ import annotations

import argparse
import csv
import itertools

import numpy as np

import tests.conftest  # noqa: F401 - the environment of the tests: no network, no telemetry
from attnflow import (
    Agreement,
    Patterns,
    RelativePositions,
    TextError,
    capture,
    encode,
    hidden_token_attribution,
    load_checkpoint,
)

PAPER = (
    "Paper, BERT-base: previous layer > 0.7 in all heads but two, > 0.85 in 90 %; "
    "input: most heads < 0.5 after 4 layers, median < 0.25 in the last four."
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.agreement", description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("pairs")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--probes", type=int, default=8)
    options = parser.parse_args()
    checkpoint = load_checkpoint(options.checkpoint)
    local, wrt_input, patterns = Agreement(), Agreement(), Patterns()
    attention_lies, input_lies = RelativePositions(), RelativePositions()
    done, lengths = 0, []
    with open(options.pairs, encoding="utf-8", newline="") as file:
        for row in itertools.islice(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE), options.count):
            try:
                encoding = encode(checkpoint, row["sentence_A"], row["sentence_B"])
            except TextError as error:
                print(f"left out: {error}")
                continue
            trace = capture(checkpoint, encoding)
            from_input = hidden_token_attribution(checkpoint, encoding, probes=options.probes, seed=done).values
            from_layer = hidden_token_attribution(checkpoint, encoding, wrt="previous_layer").values
            local.update(trace.attention, from_layer)
            wrt_input.update(trace.attention, from_input)
            patterns.update(trace.attention, trace.tokens.sentence)
            attention_lies.update(trace.attention)
            input_lies.update(from_input)
            done += 1
            lengths.append(len(encoding.tokens))
            if done % 20 == 0:
                print(f"{done} pairs", flush=True)
    print(f"{checkpoint.name}: {done} pairs of {min(lengths)} to {max(lengths)} tokens, {options.probes} probes")
    print("layer   previous layer: least, median, share > 0.7   input: median, Spearman   centre: attention, input")
    near, far = local.result(), wrt_input.result()
    centres = attention_lies.result().centre, input_lies.result().centre
    for layer in range(checkpoint.n_layers):
        pearson = near.pearson[layer]
        print(
            f"L{layer + 1:<6} {pearson.min():.2f}  {np.median(pearson):.2f}  {(pearson > 0.7).mean():.0%}"
            f"   {np.median(far.pearson[layer]):.2f}  {np.median(far.spearman[layer]):.2f}"
            f"   {centres[0][layer]:+.1f}  {centres[1][layer]:+.1f}"
        )
    print(
        f"all heads, previous layer: {(near.pearson > 0.7).mean():.0%} above 0.7, "
        f"{(near.pearson > 0.85).mean():.0%} above 0.85"
    )
    names, counts = np.unique(np.array(patterns.result().pattern), return_counts=True)
    print("patterns:", ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True)))
    print(PAPER)


main()
