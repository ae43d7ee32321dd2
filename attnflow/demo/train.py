"""Train the bundled pair of small models and write everything that ships with it.

Run as `python -m attnflow.demo.train --out assets/demo`. It takes about a quarter of an hour on one free core. The same
seed gives the same weights on one kind of machine with the same number of threads.
"""

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

import torch

from attnflow.demo import measuring
from attnflow.demo.assessment import assess
from attnflow.demo.batches import encode_pairs, next_sentence_pairs
from attnflow.demo.grammar import PRACTICE, generate
from attnflow.demo.learning import Recipe, finetune, pretrain
from attnflow.demo.lexicon import SPLIT_WORDS
from attnflow.demo.vocabulary import train_tokenizer

logger = logging.getLogger(__name__)


def train_models(out: Path, recipe: Recipe, seed: int) -> dict[str, object]:
    """Train tokenizer and both models, save them under `out`, and return the seconds that it took."""
    texts, labels = next_sentence_pairs(seed, recipe.texts)
    tokenizer = train_tokenizer((text for pair in texts for text in pair), recipe.vocabulary, SPLIT_WORDS)
    pretrained, pretrain_seconds = pretrain(encode_pairs(tokenizer, texts, labels), tokenizer, recipe, seed)
    rows = measuring.encode(tokenizer, list(generate(seed + 1, recipe.texts, schedule=PRACTICE)))
    finetuned, finetune_seconds = finetune(pretrained, rows, recipe, seed)
    for name, model in (("pretrained", pretrained), ("finetuned", finetuned)):
        model.save_pretrained(out / name)
        tokenizer.save_pretrained(out / name)
        (out / name / "model.safetensors").chmod(0o644)
    return {
        "threads": torch.get_num_threads(),
        "pretraining_seconds": round(pretrain_seconds),
        "finetuning_seconds": round(finetune_seconds),
    }


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m attnflow.demo.train", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=Path("assets/demo"), help="folder to write (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of texts and weights (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (default: %(default)s)")
    parser.add_argument("--assess-only", action="store_true", help="measure the checkpoints in the folder again")
    for name, value in Recipe().sizes().items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=type(value), default=value, help="default: %(default)s")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, train and measure."""
    options = vars(_arguments().parse_args(arguments))
    out, seed, threads, assess_only = (options.pop(name) for name in ("out", "seed", "threads", "assess_only"))
    recipe = replace(Recipe(), **options)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    if assess_only:
        training = json.loads((out / "accuracy.json").read_text(encoding="utf-8"))["training"]
    else:
        training = train_models(out, recipe, seed)
    report = assess(out, recipe, seed, training)
    logger.info("masked words and next sentences: %s", report["pretrained"])
    print(f"held-out accuracy {report['held_out']['accuracy']:.3f}; wrote {out}")


if __name__ == "__main__":
    main()
