"""Measure a trained pair as it lies on disk, and write the numbers, the held-out pairs and the examples beside it."""

import json
from pathlib import Path
from typing import Any

from transformers.models.auto.modeling_auto import AutoModelForSequenceClassification
from transformers.models.auto.tokenization_auto import AutoTokenizer
from transformers.models.bert.modeling_bert import BertForPreTraining
from transformers.models.bert.tokenization_bert import BertTokenizer

from attnflow.demo import measuring
from attnflow.demo.batches import encode_pairs, next_sentence_pairs
from attnflow.demo.examples import TAU, select_examples
from attnflow.demo.grammar import PHENOMENA, PRACTICE, Pair, generate, write_conllu, write_jsonl
from attnflow.demo.learning import Recipe
from attnflow.demo.readme import readme_text

TAUS = (0.05, 0.1, 0.2, 0.3)
SHIPPED_PAIRS = 400
BASELINE_PAIRS = 20000


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _baseline(tokenizer: BertTokenizer, held_out: list[Pair], recipe: Recipe, seed: int) -> dict[str, object]:
    """Return the accuracy of a logistic regression on bags of pieces, overall and by phenomenon."""
    n_pairs = min(recipe.texts, BASELINE_PAIRS)
    train_rows = measuring.encode(tokenizer, list(generate(seed + 1, n_pairs, schedule=PRACTICE)))
    right = measuring.bag_of_words_right(train_rows, measuring.encode(tokenizer, held_out), len(tokenizer))
    return {
        "accuracy": round(sum(right) / len(right), 4),
        "trained_on_pairs": n_pairs,
        "phenomena": measuring.accuracy_by([pair.phenomenon for pair in held_out], right),
    }


def _pretraining(
    model: BertForPreTraining, tokenizer: BertTokenizer, recipe: Recipe, seed: int
) -> dict[str, float | int]:
    """Measure the pre-trained model on fresh texts of its own kind."""
    texts, labels = next_sentence_pairs(seed + 1000, min(recipe.texts, recipe.held_out))
    return measuring.pretraining_accuracy(model, tokenizer, encode_pairs(tokenizer, texts, labels), seed)


def assess(out: Path, recipe: Recipe, seed: int, training: dict[str, object]) -> dict[str, Any]:
    """Measure the two checkpoints in `out` on held-out pairs and write everything that is not a checkpoint.

    Args:
        out: the folder that holds `pretrained` and `finetuned`.
        recipe: the recipe of their training.
        seed: the seed of their training.
        training: what is known of the training itself, taken into `accuracy.json` as it is.

    Returns:
        The content of `accuracy.json`.
    """
    tokenizer = AutoTokenizer.from_pretrained(out / "finetuned")
    finetuned = AutoModelForSequenceClassification.from_pretrained(out / "finetuned", attn_implementation="eager")
    pretrained = BertForPreTraining.from_pretrained(out / "pretrained", attn_implementation="eager")
    held_out = list(generate(seed, recipe.held_out, held_out=True))
    chances = measuring.probabilities(finetuned, measuring.encode(tokenizer, held_out))
    right = [row.argmax() == pair.label for row, pair in zip(chances, held_out, strict=True)]
    after, before = (measuring.root_readings(model, tokenizer, held_out) for model in (finetuned, pretrained))
    report: dict[str, object] = {
        "seed": seed,
        "recipe": recipe.sizes(),
        "parameters": sum(parameter.numel() for parameter in finetuned.parameters()),
        "training": training,
        "pretrained": _pretraining(pretrained, tokenizer, recipe, seed),
        "held_out": {
            "accuracy": round(sum(right) / len(right), 4),
            "pairs": len(right),
            "phenomena": measuring.accuracy_by([pair.phenomenon for pair in held_out], right),
            "builders": measuring.accuracy_by([pair.builder for pair in held_out], right),
        },
        "bag_of_words": _baseline(tokenizer, held_out, recipe, seed),
        "deciding_words_in_last_layer": {
            f"tau={tau}": {
                "finetuned": measuring.reading_summary(after, tau),
                "pretrained": measuring.reading_summary(before, tau),
            }
            for tau in TAUS
        },
        "deciding_words_by_phenomenon": {
            phenomenon: {
                name: measuring.reading_summary(
                    [r for r, pair in zip(found, held_out, strict=True) if pair.phenomenon == phenomenon], TAU
                )
                for name, found in (("finetuned", after), ("pretrained", before))
            }
            for phenomenon in PHENOMENA
        },
    }
    _write_json(out / "examples.json", select_examples(held_out, chances, after, before))
    _write_json(out / "accuracy.json", report)
    (out / "pairs.jsonl").write_text(write_jsonl(held_out[:SHIPPED_PAIRS]), encoding="utf-8")
    (out / "sentences.conllu").write_text(write_conllu(held_out[:SHIPPED_PAIRS]), encoding="utf-8")
    (out / "README.md").write_text(readme_text(report), encoding="utf-8")
    return report
