"""Entry point of the Space: `python app.py` serves the page and the API, as `attnflow serve` does, with its options."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from attnflow import cli

    sys.exit(cli.main(["serve", *sys.argv[1:]]))

from attnflow.web import launch

demo = launch.ready()
