"""The command `attnflow`: what it understands; what it runs is imported when it is asked for."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attnflow
from attnflow import cli_options, cli_probe
from attnflow.errors import AttnflowError

_SERVE = """\
Serve the page and its endpoints until Ctrl+C. The first view shows two small bundled models and needs no network;
any other checkpoint is downloaded from the Hugging Face Hub when it is asked for."""
_SERVE_MORE = """\
Without --host only this machine can reach the page; 0.0.0.0 lets others in by the address of this machine. Further
names under which it answers go into the environment variable ATTNFLOW_HOSTS. Other variables set its limits, such as
ATTNFLOW_MAX_TOKENS; the documentation lists them all.

examples:
  attnflow serve
  attnflow serve --port 8000
  ATTNFLOW_HOSTS=models.example.org attnflow serve --host 0.0.0.0"""

STATISTICS = {
    "surface": False,
    "entropy": False,
    "attention_gradient": True,
    "head_distances": False,
    "positions": False,
    "contribution_positions": True,
    "agreement": True,
    "patterns": False,
    "mean_attention": False,
    "importance": True,
    "dependencies": False,
    "coreference": False,
}
"""What `attnflow corpus` computes, by name, and whether it takes much more than a pass of the model; written here, too,
so that the help needs no model code."""
USUAL = ("surface", "entropy", "head_distances", "positions", "patterns")


def _named(statistics: Mapping[str, bool]) -> str:
    names = [f"{name} *" if slow else name for name, slow in statistics.items()]
    return textwrap.fill(", ".join(names), 118, initial_indent="  ", subsequent_indent="  ")


_SURVEY = """\
Read every text of a collection with one model or two, and keep of each the decision, its probabilities and loss, the
vectors after every layer, the attention of every head in shares, and which words the decision goes back to. Prints how
many are right, where the two models differ most, and which labels may be wrong."""
_SURVEY_MORE = """\
MODEL is a Hub id, a local folder, demo/pretrained or demo/finetuned; TEXTS is demo/pairs, a file (CSV, TSV, JSON Lines,
Parquet, TXT, CoNLL-U, CoNLL-2012) or a Hub data set. The surveys of the first and second model are kept in FOLDER/a
and FOLDER/b, each with a row a text in texts.parquet; a run that was ended goes on where it was, and a finished one is
opened.

examples:
  attnflow survey demo/pretrained demo/finetuned demo/pairs --rows 200 --out found
  attnflow survey ./my-model pairs.csv --column text_a=question --column text_b=answer --out found
  attnflow survey ./my-model pairs.tsv --label 1=paraphrase --label "0=not paraphrase" --out found"""

_CORPUS = """\
Compute what the heads of a model do over a collection of texts: what kinds of token they attend to, how broadly, how
far away, how differently from each other, and what it has to do with their output. Prints means by layer and names of
heads."""
_CORPUS_MORE = f"""\
MODEL and TEXTS are those of `attnflow survey`. NAME is one of
{_named(STATISTICS)}.
Those marked * take much more than a pass of the model; contributions of the input are estimated; dependencies needs a
treebank in CoNLL-U, and prints for each relation the head that finds most governors; coreference needs texts with
chains (CoNLL-2012, GAP, demo/coreference), and prints for each kind of mention the head that finds most antecedents.

Each part is kept in FOLDER as soon as it is done; a run that was ended goes on where it was, here or on a cluster, and
a finished one is opened. FOLDER then holds corpus.json (what was computed, of what, and which texts failed),
heads.parquet (a row for each head) and states.npz (all sums); it may be an address that fsspec reaches, such as
s3://bucket/run. Several machines need one that all of them reach.

With --engine ray (pip install 'attnflow[cluster]') each processor of this machine reads parts, or those of a cluster
that runs at ADDRESS. The numbers do not depend on it.

examples:
  attnflow corpus demo/finetuned demo/pairs --rows 200 --out found
  attnflow corpus ./my-model corpus.conllu --statistics surface entropy head_distances --out found
  attnflow corpus ./my-model treebank.conllu --statistics dependencies --out found
  attnflow corpus ./my-model demo/coreference --statistics coreference --out found
  attnflow corpus ./my-model pairs.csv --group-by language --engine ray --workers 8 --out found
  attnflow corpus ./my-model pairs.csv --engine ray --address ray://head:10001 --out s3://bucket/run"""


ORDERS = ("ambiguous", "hard_to_learn", "easy_to_learn", "likely_mislabelled")
"""Those of `attnflow.map_order`, written here, too."""

_DATA_MAP = """\
Print how the texts of a recorded training were learnt: accuracy and loss of every epoch, how many texts are easy to
learn, ambiguous and hard to learn, and which to look at first."""
_DATA_MAP_MORE = """\
FOLDER holds dynamics_epoch_0.jsonl and so on, as attnflow.TrainingDynamics and Dataset Cartography write them. The file
has for each text its name, confidence, variability, correctness, forgetfulness, margin and region.

examples:
  attnflow data-map demo/training
  attnflow data-map dynamics --order ambiguous --most 20
  attnflow data-map dynamics --first 5 --out map.jsonl"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Words after `attnflow`; those of the process if None.

    Returns:
        The status to exit with: 0, or 1 after one sentence about what went wrong.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except AttnflowError as error:
        print(f"attnflow: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="attnflow",
        description="See how two Transformer checkpoints come to their decisions on a sentence pair.",
        epilog="`attnflow COMMAND --help` tells more of a command. As a library: import attnflow; help(attnflow).",
    )
    parser.add_argument("--version", action="version", version=f"attnflow {attnflow.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve = cli_options.add_command(
        commands,
        "serve",
        help="serve the page and its endpoints",
        description=_SERVE,
        epilog=_SERVE_MORE,
    )
    serve.add_argument("--host", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument(
        "--port",
        metavar="NUMBER",
        help="port to listen on (default: that of the environment variable PORT, else the first free one from 7860)",
    )
    serve.add_argument(
        "--surveys",
        metavar="FOLDER",
        help="offer whoever opens the page the surveys in this folder, each written by `attnflow survey ... --out "
        "FOLDER/NAME` (also: the environment variable ATTNFLOW_SURVEYS; never on a Space)",
    )
    serve.add_argument(
        "--corpora",
        metavar="FOLDER",
        help="likewise the runs in this folder, each written by `attnflow corpus ... --out FOLDER/NAME` (also: the "
        "environment variable ATTNFLOW_CORPORA)",
    )
    serve.add_argument(
        "--models",
        metavar="FOLDER",
        help="likewise the checkpoints in this folder, and the runs of a Trainer (folders with checkpoint-500 and so "
        "on), as local/NAME; a run that goes on shows its new checkpoints (also: the environment variable "
        "ATTNFLOW_MODELS)",
    )
    serve.add_argument(
        "--dynamics",
        metavar="FOLDER",
        help="likewise the recorded trainings in this folder, each written by attnflow.TrainingDynamics('FOLDER/NAME') "
        "(also: the environment variable ATTNFLOW_DYNAMICS)",
    )
    serve.add_argument(
        "--device",
        help="where checkpoints run, as torch names it (also: ATTNFLOW_DEVICE; default: CUDA where there is one)",
    )
    serve.add_argument(
        "--dtype",
        metavar="PRECISION",
        help="float32, float64, bfloat16 or float16 (also: ATTNFLOW_DTYPE; default: float32)",
    )
    serve.set_defaults(run=_serve)
    _add_survey(commands)
    _add_corpus(commands)
    _add_data_map(commands)
    cli_probe.add(commands)
    return parser


def _add_survey(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    survey = cli_options.add_command(
        commands,
        "survey",
        help="read many texts with one model or two",
        usage="attnflow survey MODEL_A [MODEL_B] TEXTS --out FOLDER [options]",
        description=_SURVEY,
        epilog=_SURVEY_MORE,
    )
    survey.add_argument("models", nargs="+", metavar="MODEL", help="one checkpoint, or two to compare")
    survey.add_argument("texts", metavar="TEXTS", help="the collection of texts")
    survey.add_argument("--out", required=True, metavar="FOLDER", help="where the surveys are kept")
    cli_options.add_texts(survey)
    models = cli_options.add_models(survey)
    models.add_argument("--heads", action="store_true", help="add up mean attention and importance of heads, too")
    survey.set_defaults(run=_survey)


def _add_corpus(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    corpus = cli_options.add_command(
        commands,
        "corpus",
        help="what the heads of a model do over many texts",
        usage="attnflow corpus MODEL TEXTS --out FOLDER [--statistics NAME …] [options]",
        description=_CORPUS,
        epilog=_CORPUS_MORE,
    )
    corpus.add_argument("model", metavar="MODEL", help="the checkpoint")
    corpus.add_argument("texts", metavar="TEXTS", help="the collection of texts")
    corpus.add_argument("--out", required=True, metavar="FOLDER", help="where the statistics are kept")
    corpus.add_argument(
        "--statistics", nargs="+", default=USUAL, metavar="NAME", help=f"what to compute (default: {' '.join(USUAL)})"
    )
    corpus.add_argument("--group-by", metavar="COLUMN", help="tell everything for each value of a column, too")
    corpus.add_argument(
        "--probes", default="16", metavar="NUMBER", help="of the estimate of contributions, or exact (default: 16)"
    )
    corpus.add_argument(
        "--pooling",
        default="mean",
        choices=("mean", "first"),
        help="what a word of several tokens attends to, for dependencies and coreference (default: the mean of them)",
    )
    corpus.add_argument(
        "--candidates",
        default="before",
        choices=("before", "mentions", "all"),
        help="which words a head chooses antecedents from: all before the mention, those of other mentions before it, "
        "or all others (default: before)",
    )
    corpus.add_argument(
        "--random-weights",
        action="store_true",
        help="of dependencies and coreference, tell the best head of the same architecture with random weights, too; "
        "kept in FOLDER/random_weights",
    )
    cli_options.add_texts(corpus)
    cli_options.add_models(corpus)
    engine = corpus.add_argument_group("where")
    engine.add_argument("--engine", default="local", choices=("local", "ray"), help="this process, or Ray")
    engine.add_argument("--address", help="of a Ray that is running (default: one is started on this machine)")
    engine.add_argument(
        "--workers", type=int, metavar="NUMBER", help="processes on Ray (default: one for each processor or GPU)"
    )
    corpus.set_defaults(run=_corpus)


def _add_data_map(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    data_map = cli_options.add_command(
        commands,
        "data-map",
        help="how the texts of a recorded training were learnt",
        usage="attnflow data-map FOLDER [options]",
        description=_DATA_MAP,
        epilog=_DATA_MAP_MORE,
    )
    data_map.add_argument("folder", metavar="FOLDER", help="what was recorded; demo/training for the bundled recording")
    data_map.add_argument("--first", type=int, metavar="NUMBER", help="how many epochs count, 2 or more (default: all)")
    data_map.add_argument(
        "--include-ci", action="store_true", help="widen variability by the uncertainty of the variance"
    )
    data_map.add_argument(
        "--order", choices=ORDERS, default="likely_mislabelled", help="which texts come first (default: %(default)s)"
    )
    data_map.add_argument("--most", type=int, default=10, metavar="NUMBER", help="texts that are named (default: 10)")
    data_map.add_argument("--out", metavar="FILE", help="where all texts are written, in this order, as JSON Lines")
    data_map.set_defaults(run=_data_map)


def _survey(options: argparse.Namespace) -> None:
    from attnflow.corpus import survey_command

    survey_command.run(
        options.models,
        options.texts,
        options.out,
        heads=options.heads,
        **cli_options.reading(options),
    )


def _corpus(options: argparse.Namespace) -> None:
    from attnflow.corpus import corpus_command

    corpus_command.run(
        options.model,
        options.texts,
        options.out,
        options.statistics,
        engine=options.engine,
        address=options.address,
        workers=options.workers,
        group_by=options.group_by,
        pooling=options.pooling,
        candidates=options.candidates,
        random_weights=options.random_weights,
        probes=options.probes,
        **cli_options.reading(options),
    )


def _data_map(options: argparse.Namespace) -> None:
    from attnflow.corpus import data_map_command

    data_map_command.run(
        options.folder,
        first=options.first,
        include_ci=options.include_ci,
        order=options.order,
        most=options.most,
        out=options.out,
    )


def _serve(options: argparse.Namespace) -> None:
    for what in ("surveys", "corpora", "models", "dynamics"):
        folder = getattr(options, what)
        if folder is not None:
            if not Path(folder).is_dir():
                raise AttnflowError(f"--{what} is {folder!r}, which is no folder; give the one that holds {what}.")
            os.environ[f"ATTNFLOW_{what.upper()}"] = folder
    for what in ("device", "dtype"):
        if getattr(options, what) is not None:
            os.environ[f"ATTNFLOW_{what.upper()}"] = getattr(options, what)
    with _made_to_stay():
        try:
            from attnflow.web import launch
        except ModuleNotFoundError as error:
            if error.name not in ("gradio", "plotly"):
                raise
            raise AttnflowError(
                f"The page needs {error.name}, which is not installed; install it with pip install 'attnflow[web]'."
            ) from error
        port = None if options.port is None else launch.port_number(options.port)
        page = launch.ready()
    launch.serve(page, host=options.host, port=port)


@contextmanager
def _made_to_stay() -> Iterator[None]:
    """Make what stays until the process ends: meanwhile nothing looks for garbage, and never among it later."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
