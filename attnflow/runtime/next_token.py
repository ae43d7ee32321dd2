"""Scores of the next token, again and again as a text grows, with the keys and values of what was read before kept."""

from __future__ import annotations

from typing import Any, cast

import torch
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.runtime import attention_hook, rotary
from attnflow.runtime.capabilities import nearly_equal, probe, run_model

_FINE = torch.finfo(torch.float32).eps
"""Rounding that leaves the likeliest token what it is, whatever the order in which one adds up."""


class NextToken:
    """Gives the scores after a text, each time that it has grown.

    What was read before is not read again where that gives the same (`keeps`): of an encoder-decoder the encoder reads
    its source once, and of the tokens of the decoder, or of a model of one stack, only those that are new are run, with
    the keys and values of the others as transformers keeps them. Else all is read anew each time.
    """

    def __init__(self, checkpoint: Checkpoint, gates: torch.Tensor | None, *, keep: bool | None = None) -> None:
        """Begin with no text.

        Args:
            checkpoint: A model that predicts the next token.
            gates: `[L, H]`, multiplied with the heads' outputs, or None.
            keep: Whether keys and values are kept; None: where that gives the same.
        """
        self.checkpoint, self.gates = checkpoint, gates
        self.keep = keeps(checkpoint) if keep is None else keep
        self._read = 0
        # Of full length also where a model looks back over a window: its masks say so, whatever is kept.
        self._cache = DynamicCache()
        self._encoded: Any = None

    def scores(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the logits after a text, `[V]`.

        Args:
            inputs: What the model is called with, `[1, T]` each: what it was the last time, and more tokens after it.
        """
        with torch.inference_mode():
            if not self.keep:
                with attention_hook.record(self.gates, keep=False):
                    return run_model(self.checkpoint, inputs, task=True)[0, -1]
            run = self._one_stack if self.checkpoint.stacks is None else self._two_stacks
            return run(inputs).logits[0, -1]

    def _one_stack(self, inputs: dict[str, torch.Tensor]) -> Any:
        new = {name: x if name == "attention_mask" else x[:, self._read :] for name, x in inputs.items()}
        self._read = inputs["input_ids"].shape[1]
        with attention_hook.record(self.gates, keep=False):
            return self.checkpoint.model(**new, past_key_values=self._cache, use_cache=True)

    def _two_stacks(self, inputs: dict[str, torch.Tensor]) -> Any:
        stacks, model = self.checkpoint.stacks, cast("Any", self.checkpoint.model)
        assert stacks is not None, "it has two"
        n_source, of_encoder, of_decoder = int((inputs["target"][0] == 0).sum()), None, None
        if self.gates is not None:
            # Run as transformers made it, each attention is a layer by itself, that to the source the second of two.
            of_encoder = self.gates[: stacks.n_encoder, : stacks.n_heads]
            of_decoder = self.gates[stacks.n_encoder :].reshape(2 * stacks.n_decoder, stacks.n_heads)
        mask = inputs["attention_mask"][:, :n_source]
        if self._encoded is None:
            encoder, source = model.get_submodule(model.stack_names[0]), inputs["input_ids"][:, :n_source]
            with attention_hook.record(of_encoder, keep=False):
                self._encoded = encoder(input_ids=source, attention_mask=mask)
            self._cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        target = inputs["input_ids"][:, max(n_source, self._read) :]
        self._read = inputs["input_ids"].shape[1]
        with attention_hook.record(of_decoder, keep=False):
            return model(
                encoder_outputs=self._encoded,
                attention_mask=mask,
                decoder_input_ids=target,
                past_key_values=self._cache,
                use_cache=True,
            )


def keeps(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint gives the same when keys and values are kept: tried once, with a head of each layer off.

    Not so in half precision, where the order of adding up may decide which of two tokens is the likeliest, and where
    positions are turned by the length of the text.
    """
    if rotary.changes_with_length(checkpoint.model) or torch.finfo(checkpoint.model.dtype).eps > _FINE:
        return False
    return checkpoint.learnt.get("keeps keys and values", lambda: _tries(checkpoint))


def _tries(checkpoint: Checkpoint) -> bool:
    whole = probe(checkpoint)
    gates = torch.ones(checkpoint.n_layers, checkpoint.n_heads, device=checkpoint.device)
    gates[:, :: max(2, checkpoint.n_heads // 2)] = 0
    ways = [NextToken(checkpoint, gates, keep=keep) for keep in (False, True)]
    size = whole["input_ids"].shape[1]
    try:
        for end in (size - 2, size - 1, size):
            given = {name: x[:, :end] for name, x in whole.items()}
            expected, found = (way.scores(given) for way in ways)
            if not nearly_equal(found, expected):
                return False
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, NotImplementedError, KeyError):
        return False  # an architecture that keeps something else, or nothing
    return True
