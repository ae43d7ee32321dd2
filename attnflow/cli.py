"""The command `attnflow`: what it understands; what it runs is imported when it is asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import attnflow
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
    serve = commands.add_parser(
        "serve",
        help="serve the page and its endpoints",
        description=_SERVE,
        epilog=_SERVE_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("--host", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument(
        "--port",
        metavar="NUMBER",
        help="port to listen on (default: that of the environment variable PORT, else the first free one from 7860)",
    )
    serve.set_defaults(run=_serve)
    return parser


def _serve(options: argparse.Namespace) -> None:
    try:
        from attnflow.web import launch
    except ModuleNotFoundError as error:
        if error.name not in ("gradio", "plotly"):
            raise
        raise AttnflowError(
            f"The page needs {error.name}, which is not installed; install it with pip install 'attnflow[web]'."
        ) from error
    port = None if options.port is None else launch.port_number(options.port)
    launch.serve(launch.ready(), host=options.host, port=port)
