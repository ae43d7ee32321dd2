"""Measures speed as ratios in one run: `python -m tests.bench`.  Nothing here is a test; a noisy machine moves it."""

from __future__ import annotations

import argparse

import tests.conftest  # noqa: F401 - the environment of the tests: no network, no telemetry
from tests.bench import (
    attribution,
    capture,
    corpus,
    dynamics,
    edges,
    grammar,
    heads,
    load,
    page,
    probe,
    saliency,
    texts,
    writing,
)

PARTS = {
    "capture": capture,
    "heads": heads,
    "attribution": attribution,
    "edges": edges,
    "saliency": saliency,
    "texts": texts,
    "corpus": corpus,
    "dynamics": dynamics,
    "grammar": grammar,
    "probe": probe,
    "page": page,
    "load": load,
    "writing": writing,
}
USUAL = [name for name in PARTS if name != "load"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", default=USUAL, help=f"{', '.join(PARTS)} (all but load if left out)")
    chosen = parser.parse_args().parts
    for name, part in PARTS.items():
        if name in chosen:
            print(f"\n{name}\n{'-' * len(name)}")
            for what, figure in part.measure():
                print(f"{what:<72} {figure}", flush=True)


main()
