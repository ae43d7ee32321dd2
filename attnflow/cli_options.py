"""Options that commands share: which texts are read, and how models are run."""

from __future__ import annotations

import argparse
from typing import Any

Commands = argparse._SubParsersAction
"""To which commands are added; argparse gives it no public name."""


def add_command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    *,
    help: str,
    description: str,
    epilog: str,
    usage: str | None = None,
) -> argparse.ArgumentParser:
    """A command whose texts stand as they are written."""
    return commands.add_parser(
        name,
        help=help,
        usage=usage,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_drawing(
    group: argparse.ArgumentParser | argparse._ArgumentGroup, what: str = "texts", draws: str = "what draws them"
) -> None:
    """Which texts are drawn of a source.

    Args:
        group: Where the options are told.
        what: What is drawn.
        draws: What the seed is for.
    """
    group.add_argument("--name", help="configuration of a data set of the Hub")
    group.add_argument("--split", help="split of a data set of the Hub")
    group.add_argument("--rows", type=int, metavar="NUMBER", help=f"how many {what} to draw (default: all)")
    group.add_argument("--seed", type=int, default=0, metavar="NUMBER", help=f"{draws} (default: 0)")


def add_running(group: argparse.ArgumentParser | argparse._ArgumentGroup, longest: str) -> None:
    """Where and how models run; `longest` says what a bound of tokens means."""
    group.add_argument("--device", default="auto", help="as torch names it (default: CUDA where there is one)")
    group.add_argument("--dtype", metavar="PRECISION", help="as torch names it (default: float32)")
    group.add_argument("--max-tokens", type=int, metavar="NUMBER", help=f"{longest} (default: the model's)")


def add_texts(command: argparse.ArgumentParser) -> None:
    """Which texts are read, and which of their columns."""
    texts = command.add_argument_group("texts")
    add_drawing(texts)
    texts.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="the column that is text_a, text_b, label or guid, where it is not guessed; may be given several times",
    )
    texts.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="LABEL=CLASS",
        help="the class of a model that a label of the texts stands for, where names do not tell; likewise",
    )


def add_models(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """How models read them; returns the group, for more."""
    models = command.add_argument_group("models")
    add_running(models, "most tokens of a text")
    models.add_argument("--leave-out", action="store_true", help="leave longer texts out instead of cutting them")
    models.add_argument("--part", type=int, default=256, metavar="NUMBER", help="texts kept together (default: 256)")
    return models


def drawing_and_running(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_drawing` and `add_running` ask for, as the commands take it."""
    asked = ("name", "split", "rows", "seed", "device", "dtype", "max_tokens")
    return {name: getattr(options, name) for name in asked}


def reading(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_texts` and `add_models` ask for, likewise."""
    return {
        **drawing_and_running(options),
        "columns": options.column,
        "labels": options.label,
        "too_long": "leave_out" if options.leave_out else "cut",
        "part_size": options.part,
    }
