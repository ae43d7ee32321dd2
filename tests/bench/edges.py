"""What other edges of the attention graph cost: norms in `capture`, and contributions to the previous layer."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

from transformers import BertConfig, BertModel

from attnflow import Checkpoint, capture, hidden_token_attribution, load_checkpoint
from attnflow.runtime.value_norms import WrittenLengths
from tests.bench.attribution import pair_of
from tests.bench.capture import SIZES, random_checkpoint, side_by_side

LENGTHS = (32, 105)


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    bundled = load_checkpoint("demo/finetuned")
    for name, (n_layers, n_heads, width) in SIZES.items():
        config = BertConfig(
            hidden_size=width, num_hidden_layers=n_layers, num_attention_heads=n_heads, intermediate_size=4 * width
        )
        checkpoint = random_checkpoint(BertModel(config).eval(), bundled)
        for length in LENGTHS:
            yield from _compare(name, checkpoint, length)


def _compare(name: str, checkpoint: Checkpoint, length: int) -> Iterator[tuple[str, str]]:
    encoding = pair_of(checkpoint, length)

    def whole() -> None:
        capture(checkpoint, encoding)

    def plain() -> None:
        with patch("attnflow.runtime.capture.written_lengths", lambda _: WrittenLengths(missing="they are not wanted")):
            capture(checkpoint, encoding)

    def local() -> None:
        hidden_token_attribution(checkpoint, encoding, wrt="previous_layer")

    ratio, first, second = side_by_side(whole, plain)
    label = f"{name}, {length} tokens: capture with norms of values / without"
    yield label, f"{ratio:.2f} x  ({1000 * first:.1f} ms / {1000 * second:.1f} ms)"
    ratio, first, second = side_by_side(local, whole, rounds=5)
    label = f"{name}, {length} tokens: exact contributions to the previous layer / capture"
    yield label, f"{ratio:.2f} x  ({1000 * first:.0f} ms / {1000 * second:.0f} ms)"
