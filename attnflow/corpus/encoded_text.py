"""Cuts one text of a collection into tokens, or says why that cannot be, so that the others go on."""

from __future__ import annotations

from typing import Literal

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import CheckpointError, TextError, UnsupportedArchitectureError
from attnflow.records.texts import Text
from attnflow.records.trace import Encoding
from attnflow.runtime.encode import encode


def encoded(
    checkpoint: Checkpoint, text: Text, too_long: Literal["cut", "leave_out"], max_tokens: int | None
) -> Encoding | str:
    """A text as the model's tokenizer cuts it, or a sentence on why it cannot be cut.

    Raises:
        UnsupportedArchitectureError: If no text can be read with this model.
    """
    try:
        return encode(checkpoint, text.text_a, text.text_b, truncate=too_long == "cut", max_tokens=max_tokens)
    except UnsupportedArchitectureError:
        raise
    except (TextError, CheckpointError) as error:
        return str(error)
