"""Train the bundled pair of small models and write everything that ships with it.

Run as `python -m attnflow.demo.train --out assets/demo`. It takes about a quarter of an hour on one free core. The same
seed gives the same weights on one kind of machine with the same number of threads. What the fine-tuning came to say of
some of its pairs is recorded on the way; `--record-only` fine-tunes again for that alone.
"""

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

import torch
from transformers.models.auto.tokenization_auto import AutoTokenizer
from transformers.models.bert.modeling_bert import BertForPreTraining, BertForSequenceClassification
from transformers.models.bert.tokenization_bert import BertTokenizer

from attnflow.demo import measuring
from attnflow.demo.assessment import assess
from attnflow.demo.batches import encode_pairs, next_sentence_pairs
from attnflow.demo.grammar import PRACTICE, generate
from attnflow.demo.learning import Recipe, finetune, pretrain
from attnflow.demo.lexicon import SPLIT_WORDS
from attnflow.demo.recording import PAIRS, Recording, write_pairs
from attnflow.demo.vocabulary import train_tokenizer

logger = logging.getLogger(__name__)


def train_models(out: Path, recipe: Recipe, seed: int) -> dict[str, object]:
    """Train tokenizer and both models, save them under `out`, and return the seconds that it took."""
    texts, labels = next_sentence_pairs(seed, recipe.texts)
    tokenizer = train_tokenizer((text for pair in texts for text in pair), recipe.vocabulary, SPLIT_WORDS)
    pretrained, pretrain_seconds = pretrain(encode_pairs(tokenizer, texts, labels), tokenizer, recipe, seed)
    finetuned, finetune_seconds = finetune_recorded(out, pretrained, tokenizer, recipe, seed, out / "finetuned")
    for name, model in (("pretrained", pretrained), ("finetuned", finetuned)):
        model.save_pretrained(out / name)
        tokenizer.save_pretrained(out / name)
        (out / name / "model.safetensors").chmod(0o644)
    return {
        "threads": torch.get_num_threads(),
        "pretraining_seconds": round(pretrain_seconds),
        "finetuning_seconds": round(finetune_seconds),
    }


def finetune_recorded(
    out: Path,
    pretrained: BertForPreTraining,
    tokenizer: BertTokenizer,
    recipe: Recipe,
    seed: int,
    checkpoints: Path | None = None,
) -> tuple[BertForSequenceClassification, float]:
    """Fine-tune, write under `out` which pairs were recorded and what of them; return model and seconds."""
    pairs = list(generate(seed + 1, recipe.texts, schedule=PRACTICE))
    rows, recorded = measuring.encode(tokenizer, pairs), min(PAIRS, len(pairs))
    write_pairs(out / "training.csv", pairs[:recorded])
    recording = Recording(
        out / "dynamics",
        rows[:recorded],
        recipe.finetune_steps,
        checkpoints=checkpoints,
        tokenizer=tokenizer,
    )
    return finetune(pretrained, rows, recipe, seed, recording.after)


def record_anew(out: Path, recipe: Recipe, seed: int, checkpoints: Path | None) -> str:
    """Fine-tune from `out/pretrained` again to record it, keep `out/finetuned`, and tell how far apart both end."""
    pretrained = BertForPreTraining.from_pretrained(out / "pretrained")
    tokenizer = AutoTokenizer.from_pretrained(out / "pretrained")
    model, seconds = finetune_recorded(out, pretrained, tokenizer, recipe, seed, checkpoints)
    kept = BertForSequenceClassification.from_pretrained(out / "finetuned").state_dict()
    apart = max(float((value - kept[name]).abs().max()) for name, value in model.state_dict().items())
    return f"recorded in {seconds:.0f} s; its weights end at most {apart:.2g} from those of {out / 'finetuned'}"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m attnflow.demo.train", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=Path("assets/demo"), help="folder to write (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of texts and weights (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (default: %(default)s)")
    parser.add_argument("--assess-only", action="store_true", help="measure the checkpoints in the folder again")
    parser.add_argument("--record-only", action="store_true", help="fine-tune again, only to record it")
    parser.add_argument("--checkpoints", type=Path, help="with --record-only: folder for checkpoints along the way")
    for name, value in Recipe().sizes().items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=type(value), default=value, help="default: %(default)s")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, train and measure."""
    options = vars(_arguments().parse_args(arguments))
    out, seed, threads = (options.pop(name) for name in ("out", "seed", "threads"))
    assess_only, record_only, checkpoints = (options.pop(n) for n in ("assess_only", "record_only", "checkpoints"))
    recipe = replace(Recipe(), **options)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    if record_only:
        print(record_anew(out, recipe, seed, checkpoints))
        return
    if assess_only:
        training = json.loads((out / "accuracy.json").read_text(encoding="utf-8"))["training"]
    else:
        training = train_models(out, recipe, seed)
    report = assess(out, recipe, seed, training)
    logger.info("masked words and next sentences: %s", report["pretrained"])
    print(f"held-out accuracy {report['held_out']['accuracy']:.3f}; wrote {out}")


if __name__ == "__main__":
    main()
