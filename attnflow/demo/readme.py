"""The README that ships with the demo models, written from what was measured."""

from attnflow.demo.examples import TAU
from attnflow.demo.recording import PAIRS, STRETCHES

TEMPLATE = """---
license: apache-2.0
---
# The demo models

Two small BERT checkpoints, trained from nothing on English that this project generates itself.
They are made to show attention on a laptop without a download. They are not language models for any other use.

* `pretrained/`: masked words and next sentence prediction on short generated texts.
* `finetuned/`: the same weights, trained further to tell whether sentence A **supports** sentence B: B must be true
  given A, or B is a question that A answers. Labels: `unsupported`, `supported`.

{layers} layers, {heads} heads, width {width}, {parameters:,} parameters each, {vocabulary} word pieces, lower-cased.

| held-out pairs | fine-tuned model | bag of words |
|---|---|---|
{rows}

Held-out pairs bring together names that are never together in training. Both labels of a scenario differ by one word
or by the order of two words, so a bag of words cannot tell them apart. The pre-trained model finds {masked:.1%} of the
masked words and has a balanced next-sentence accuracy of {next:.3f}. All numbers are in `accuracy.json`.

What they cannot do: they know a few hundred words, the sentence forms of the grammar and nothing about the world;
the place names are invented. Other words are read letter by letter or in scraps, and predictions on sentences of other
forms mean nothing.

`pairs.jsonl` holds held-out pairs with label, phenomenon, deciding words (positions in `words_a`, `words_b`, which give
characters) and coreference chains (`[side, first word, word after the last]`). The deciding words of A are those that
the label hangs on; those of B are where it differs from its twin with the other label. `sentences.conllu` holds the
trees; `sent_id` is line of `pairs.jsonl` (from 0), side, sentence.

`examples.json` is chosen among the held-out pairs that the model gets right, for the clearest difference between the
two models: it shows what can be seen, not what is usual. How usual it is: over {pairs} held-out pairs, the ordinary
token that most heads of the last layer's [CLS] attend to (attention above {tau}) is part of a deciding word in
{after:.0%} of the pairs for the fine-tuned model and in {before:.0%} for the pre-trained one. Nothing in the training
asks for this.

`training.csv` holds the first {recorded:,} pairs of the training set, named by their row in it, and `dynamics/` what
the model said of them after each of {stretches} equally long stretches of the fine-tuning, in the files of Dataset
Cartography (an evaluation pass each; such a stretch is what these call an epoch). `finetuned/checkpoint-*` are the
model after three of these stretches, in half precision. They come from a run of the fine-tuning with the seed below,
which need not have ended in the very weights of `finetuned/`: rounding differs between machines.

Retrain: `python -m attnflow.demo.train --out assets/demo` (seed {seed}; {minutes:.0f} minutes
on a busy machine, processor threads: {threads}). The option `--assess-only` writes all but the checkpoints and the
recording again; `--record-only` fine-tunes again from `pretrained/` for the recording alone, and with
`--checkpoints FOLDER` for these three models, too.

Licence: Apache-2.0.
"""


def readme_text(report: dict) -> str:
    """Return the README for a report as written to `accuracy.json`."""
    baseline = report["bag_of_words"]
    rows = [
        f"| {name.replace('_', ' ')} | {found['accuracy']:.3f} | {baseline['phenomena'][name]['accuracy']:.3f} |"
        for name, found in report["held_out"]["phenomena"].items()
    ]
    rows.append(f"| **all** | **{report['held_out']['accuracy']:.3f}** | {baseline['accuracy']:.3f} |")
    recipe, training = report["recipe"], report["training"]
    reading = report["deciding_words_in_last_layer"][f"tau={TAU}"]
    return TEMPLATE.format(
        layers=recipe["layers"],
        heads=recipe["heads"],
        width=recipe["width"],
        vocabulary=recipe["vocabulary"],
        parameters=report["parameters"],
        rows="\n".join(rows),
        masked=report["pretrained"]["masked_word_accuracy"],
        next=report["pretrained"]["next_sentence_balanced_accuracy"],
        pairs=reading["finetuned"]["pairs"],
        tau=TAU,
        after=reading["finetuned"]["decider_on_top"] / reading["finetuned"]["pairs"],
        before=reading["pretrained"]["decider_on_top"] / reading["pretrained"]["pairs"],
        minutes=(training["pretraining_seconds"] + training["finetuning_seconds"]) / 60,
        threads=training["threads"],
        seed=report["seed"],
        recorded=min(PAIRS, recipe["texts"]),
        stretches=min(STRETCHES, recipe["finetune_steps"]),
    )
