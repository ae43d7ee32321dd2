"""The command `attnflow probe`: what it understands; what it runs is imported when it is asked for."""

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


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it to the others."""
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


def _probe(options: argparse.Namespace) -> None:
    from attnflow.corpus import probe_command

    probe_command.run(
        options.model,
        options.texts,
        words=options.words,
        vectors=options.vectors,
        parse=options.parse,
        name=options.name,
        split=options.split,
        rows=options.rows,
        seed=options.seed,
        max_tokens=options.max_tokens,
        device=options.device,
        dtype=options.dtype,
    )
