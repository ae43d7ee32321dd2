"""What a language model writes after a text: each time the likeliest token, as often as is asked or until it ends."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError, TextError
from attnflow.records.continuation import Continuation
from attnflow.records.trace import Encoding, Head, check_heads, is_whole
from attnflow.runtime.capture import model_inputs
from attnflow.runtime.next_token import NextToken
from attnflow.runtime.recorded import check_finite, head_gates

MOST_WRITTEN = 256
"""Tokens that are written at most at once."""
USUALLY_WRITTEN = 32


def continuation(
    checkpoint: Checkpoint, encoding: Encoding, *, most: int = USUALLY_WRITTEN, pruned: Iterable[Head] = ()
) -> Continuation:
    """Let a model that predicts the next token write on.

    It reads its own tokens as they are, without cutting the text anew, and never writes padding. An encoder-decoder
    goes on with its target, which is the second sentence; a decoder with the last sentence of the text or, in a chat
    template, with the answer, which is the second.

    Args:
        checkpoint: A decoder or an encoder-decoder with a trained head.
        encoding: A text encoded for it.
        most: How many tokens at most, from 1 to `MOST_WRITTEN`.
        pruned: Heads that are switched off.

    Raises:
        SelectionError: If it predicts no next token, or a number or head is out of range.
        TextError: If the text is as long as the model takes.
        CheckpointError: If its scores are not finite, or its tokenizer fails.

    Example:
        >>> from attnflow import continuation, encode, load_checkpoint  # doctest: +SKIP
        >>> model = load_checkpoint("Helsinki-NLP/opus-mt-en-de")  # doctest: +SKIP
        >>> continuation(model, encode(model, "Anna reads a book.")).text_b  # doctest: +SKIP
        'Anna liest ein Buch.'
    """
    name, tokens = checkpoint.name, encoding.tokens
    if not checkpoint.head.predicts_next:
        raise SelectionError(f"{name} predicts no next token, so it writes nothing; choose a model that does.")
    if not is_whole(most) or not 1 <= most <= MOST_WRITTEN:
        raise SelectionError(f"most is {most!r}; give a whole number from 1 to {MOST_WRITTEN}.")
    before = encoding.inputs["input_ids"][tokens.n_source or 0 :].tolist()
    room = most if checkpoint.max_tokens is None else min(most, checkpoint.max_tokens - len(before))
    if room < 1:
        raise TextError(f"{name} takes {checkpoint.max_tokens} tokens, as many as this text has; shorten it first.")
    gates = head_gates(checkpoint, check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads) | checkpoint.pruned)
    ids, chances, ended = _write(checkpoint, encoding, room, gates)
    whole, start = checkpoint.tokenizer.text([*before, *ids]), checkpoint.tokenizer.text(before)
    written = whole.removeprefix(start) if whole.startswith(start) else checkpoint.tokenizer.text(ids)
    first, second = encoding.text_a, encoding.text_b
    if checkpoint.stacks is None and not encoding.chat and second is None:
        first += written
    else:
        apart = " " * bool(second and not start.strip() and not second.endswith(" "))  # after a language
        second = second + apart + written if second else written.lstrip()
    pieces = (name or str(index) for name, index in zip(checkpoint.tokenizer.pieces(ids), ids, strict=True))
    return Continuation(first, second, written, tuple(pieces), np.array(chances), ended)


def _write(
    checkpoint: Checkpoint, encoding: Encoding, room: int, gates: torch.Tensor | None
) -> tuple[list[int], list[float], bool]:
    """The tokens, their probabilities, and whether the model ended the text."""
    ends = checkpoint.model.config.get_text_config().eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    inputs, after = model_inputs(encoding, device=checkpoint.device), NextToken(checkpoint, gates)
    ids: list[int] = []
    chances: list[float] = []
    while len(ids) < room:
        progress.go_on()
        progress.tell(f"{len(ids)} of at most {room} tokens", len(ids) / room)
        with torch.inference_mode():
            row = after.scores(inputs).double()
            check_finite(checkpoint, row.max())
            chance = row.softmax(-1)
            if checkpoint.padding is not None and checkpoint.padding not in ends:
                row[checkpoint.padding] = -torch.inf
            best = int(row.argmax())
        if best in ends:
            return ids, chances, True
        ids.append(best)
        chances.append(float(chance[best]))
        inputs = {key: torch.cat((x, _next(key, x, best)), dim=1) for key, x in inputs.items()}
    return ids, chances, False


def _next(name: str, given: torch.Tensor, token: int) -> torch.Tensor:
    """What an input is at one more token, `[1, 1]`; a kind of sentence goes on."""
    value = {"input_ids": token, "attention_mask": 1, "target": 1}.get(name)
    return given[:, -1:] if value is None else torch.full_like(given[:, -1:], value)
