"""Colours and number formats that the drawings share.

The page's stylesheet holds the same three model colours for text and marks; here are the scales of heat maps.
"""

from __future__ import annotations

MODEL_A = "#0d9488"
MODEL_B = "#7c3aed"
SHARED = "#d97706"

# From the background to the model's colour: weight 0 is the page itself, in light and in dark mode.
SCALE = {
    "a": [[0, "rgba(13,148,136,0)"], [1, "rgba(13,148,136,1)"]],
    "b": [[0, "rgba(124,58,237,0)"], [1, "rgba(124,58,237,1)"]],
}


def rounded(value: float) -> float:
    """A number as it is sent to the page and to programs: four significant digits."""
    return float(f"{value:.4g}")
