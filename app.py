"""Entry point of the Space: `python app.py` serves the page and the API, as `attnflow serve` does."""

from __future__ import annotations

from attnflow.web import launch

demo = launch.ready()

if __name__ == "__main__":
    launch.serve(demo)
