"""The commands about treebanks, `attnflow probe` and `attnflow compare-heads`; what they run is imported when asked."""

from __future__ import annotations

import argparse

from attnflow import cli_options

_PROBE = """\
Train a probe that finds the governor of each word of a treebank from the attention of a model, which stays as it is.
Prints how many it finds on held-out sentences, beside what needs no such model: table 3 of Clark et al. (2019)."""
_PROBE_MORE = """\
MODEL is that of `attnflow survey`; TREEBANK is demo/sentences, a file in CoNLL-U or a Hub data set of such files, with
at least 50 different sentences. Of the sentences a tenth is scored, and another tenth tells when to stop.

Rows of the table: right-branching, always the next word; fixed offset, always the word at the best distance; words and
distances, a classifier without attention; random weights, the same probe on the model as before training; and shuffled
trees, the same probe on trees without any grammar. Attention of all sentences is kept in a temporary file meanwhile
(set TMPDIR for another place): of 10,000 sentences in 72 heads some 700 MB, twice.

examples:
  attnflow probe demo/finetuned demo/sentences
  attnflow probe demo/finetuned demo/sentences --words --parse "Anna gave Paul a book."
  attnflow probe google-bert/bert-base-uncased treebank.conllu --words --vectors glove.6B.100d.txt"""


_COMPARE = """\
Compare the heads of two models that find the governor of most words, relation by relation, on the same words of a
treebank. Prints the best head of each on held-out sentences, and whether the two differ beyond chance."""
_COMPARE_MORE = """\
MODEL_A and MODEL_B are those of `attnflow survey`, TREEBANK is that of `attnflow probe`. A row tells for a relation how
many words both models read, the best head of each with the share that it finds, how many words only one of them finds,
and the p-value of McNemar's exact test, corrected by Holm for the number of relations; * marks those below 5 %.

examples:
  attnflow compare-heads demo/pretrained demo/finetuned demo/sentences --rows 200
  attnflow compare-heads ./my-model@checkpoint-500 ./my-model treebank.conllu --no-subtypes"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them to the others."""
    _add_probe(commands)
    compare = cli_options.add_command(
        commands,
        "compare-heads",
        help="which of two models has heads that follow a treebank better",
        usage="attnflow compare-heads MODEL_A MODEL_B TREEBANK [options]",
        description=_COMPARE,
        epilog=_COMPARE_MORE,
    )
    compare.add_argument("model_a", metavar="MODEL_A", help="the first checkpoint")
    compare.add_argument("model_b", metavar="MODEL_B", help="the second")
    compare.add_argument("texts", metavar="TREEBANK", help="sentences with their trees")
    compare.add_argument(
        "--pooling",
        default="mean",
        choices=("mean", "first"),
        help="what a word of several tokens attends to (default: the mean of them)",
    )
    compare.add_argument("--no-subtypes", action="store_true", help="count nsubj:pass and the like as nsubj")
    cli_options.add_drawing(compare, "sentences", "what draws them")
    cli_options.add_running(compare, "cut longer sentences")
    compare.add_argument("--leave-out", action="store_true", help="leave longer sentences out instead of cutting them")
    compare.set_defaults(run=_compare)


def _add_probe(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    probe = cli_options.add_command(
        commands,
        "probe",
        help="how much of a treebank's trees is in the attention of a model",
        usage="attnflow probe MODEL TREEBANK [--words] [options]",
        description=_PROBE,
        epilog=_PROBE_MORE,
    )
    probe.add_argument("model", metavar="MODEL", help="the checkpoint")
    probe.add_argument("texts", metavar="TREEBANK", help="sentences with their trees")
    probe.add_argument("--words", action="store_true", help="let the weights of heads depend on the two words, too")
    probe.add_argument(
        "--vectors",
        metavar="FILE",
        help="vectors of words, a word and its numbers in each line (default: the model's own input embeddings)",
    )
    probe.add_argument("--parse", metavar="SENTENCE", help="parse a sentence with the probe")
    cli_options.add_drawing(probe, "sentences", "what draws and splits them, and trains")
    cli_options.add_running(probe, "cut longer sentences")
    probe.set_defaults(run=_probe)


def _compare(options: argparse.Namespace) -> None:
    from attnflow.corpus import compared_heads_command

    compared_heads_command.run(
        options.model_a,
        options.model_b,
        options.texts,
        pooling=options.pooling,
        subtypes=not options.no_subtypes,
        too_long="leave_out" if options.leave_out else "cut",
        **cli_options.drawing_and_running(options),
    )


def _probe(options: argparse.Namespace) -> None:
    from attnflow.corpus import probe_command

    probe_command.run(
        options.model,
        options.texts,
        words=options.words,
        vectors=options.vectors,
        parse=options.parse,
        **cli_options.drawing_and_running(options),
    )
