"""Parameters that several analyses share."""

from __future__ import annotations

from attnflow.errors import SelectionError
from attnflow.records.trace import Trace, is_whole
from attnflow.service.registry import Parameter

LAYER = Parameter("layer", int, 0, "Layer, counted from 0.")
HEAD = Parameter("head", int, 0, "Head, counted from 0.")


def check_head(trace: Trace, layer: int, head: int) -> tuple[int, int]:
    """Return a head that is there.

    Raises:
        SelectionError: If it is not.
    """
    for name, value, size in (("layer", layer, trace.n_layers), ("head", head, trace.n_heads)):
        if not is_whole(value) or not 0 <= value < size:
            raise SelectionError(
                f"{name} is {value!r}; this checkpoint has {size} {name}s, so give a number from 0 to {size - 1}."
            )
    return int(layer), int(head)
