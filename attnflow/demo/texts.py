"""Write the collection of pairs that ships with the demo models: `python -m attnflow.demo.texts`."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from attnflow.demo.grammar import LABELS, generate

PAIRS = 2000


def write_texts(path: Path, seed: int = 0, pairs: int = PAIRS) -> None:
    """Write held-out pairs as CSV: name, both texts, label, and the phenomenon that the pair is about.

    Args:
        path: the file.
        seed: the seed of the training, so that the models have not seen the pairs.
        pairs: how many.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["guid", "text_a", "text_b", "label", "phenomenon"])
        for number, pair in enumerate(generate(seed, pairs, held_out=True)):
            writer.writerow([f"pair-{number}", pair.text_a, pair.text_b, LABELS[pair.label], pair.phenomenon])


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m attnflow.demo.texts", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=Path("assets/demo/texts.csv"), help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training (default: %(default)s)")
    options = parser.parse_args(arguments)
    write_texts(options.out, options.seed)


if __name__ == "__main__":
    main()
