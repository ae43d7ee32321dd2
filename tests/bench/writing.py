"""How much faster a model writes on with keys and values kept than by reading all anew for each token."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from attnflow import continuation, encode, load_checkpoint
from attnflow.runtime import next_token
from tests.bench.capture import side_by_side
from tests.checkpoints import make_checkpoint

_STACKS = {f"{stack}_{what}": 6 for stack in ("encoder", "decoder") for what in ("layers", "attention_heads")}
BART = {"d_model": 384, **_STACKS, "encoder_ffn_dim": 1536, "decoder_ffn_dim": 1536}
"""One of a small size."""
SIZES = {
    "gpt2": ("causal-lm", {"n_layer": 6, "n_head": 6, "n_embd": 384}),
    "bart": ("seq2seq-lm", BART),
}
TEXT = "Anna gave the old book to her brother because he wanted to read it. " * 4
"""Some seventy tokens."""
MOST = 32


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    with tempfile.TemporaryDirectory() as top:
        for name, (task, options) in SIZES.items():
            checkpoint = load_checkpoint(make_checkpoint(Path(top) / name, name, task=task, **options))
            checkpoint.model.config.eos_token_id = -1  # it never ends by itself
            encoding = encode(checkpoint, TEXT)
            assert next_token.keeps(checkpoint)

            def kept() -> None:
                assert len(continuation(checkpoint, encoding, most=MOST).piece) == MOST  # noqa: B023

            def anew() -> None:
                with patch.object(next_token, "keeps", lambda _: False):
                    kept()

            _, fast, slow = side_by_side(kept, anew, rounds=5)
            label = f"{name}, 6 layers x 384, {len(encoding.tokens)} tokens: {MOST} more, anew / kept"
            yield label, f"{slow / fast:.1f} x  ({1000 * slow:.0f} ms / {1000 * fast:.0f} ms)"
