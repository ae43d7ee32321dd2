"""Linear maps that are spared are those that nobody needs, and all others are what they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnflow.runtime.attention_hook import Recording
from attnflow.runtime.linear import SparingLinear

WEIGHT = torch.randn(24, 16, generator=torch.Generator().manual_seed(0))
BIAS = torch.randn(24, generator=torch.Generator().manual_seed(1))


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def count(monkeypatch) -> list[int]:
    """The numbers of vectors that are really mapped from now on."""
    seen = []

    def counting(x, weight, bias=None):
        seen.append(x.numel() // x.shape[-1])
        return torch.nn.functional.linear(x, weight, bias)

    monkeypatch.setattr("attnflow.runtime.linear.linear", counting)
    return seen


def test_of_equal_tokens_one_is_mapped_before_the_attention_of_their_layer(monkeypatch):
    seen, recording = count(monkeypatch), Recording()
    keys = np.array([[0, 1, 2], [0, 1, 5], [4, 1, 2]])
    x = draw(6, 16)[torch.from_numpy(keys)]
    expected = torch.nn.functional.linear(x, WEIGHT, BIAS)
    with SparingLinear(recording, 3, 3, None) as sparing:
        sparing.repeat(1, keys)
        for _ in range(3):
            torch.testing.assert_close(torch.nn.functional.linear(x, WEIGHT, BIAS), expected)
            if recording.layer == 1:
                other = torch.nn.functional.linear(x[:2], WEIGHT, BIAS)
            recording.next_layer()
    torch.testing.assert_close(other, expected[:2])
    assert seen == [5, 6], "the other layers are not looked at"
    assert recording.on_layer is None


def test_after_the_last_attention_one_position_is_mapped(monkeypatch):
    seen, recording = count(monkeypatch), Recording()
    x = draw(4, 3, 16)
    expected = torch.nn.functional.linear(x, WEIGHT, BIAS)
    with SparingLinear(recording, 2, 3, 1):
        for layer in range(3):
            found = torch.nn.functional.linear(x, WEIGHT, BIAS)
            torch.testing.assert_close(found[:, 1], expected[:, 1])
            if layer < 2:
                recording.next_layer()
        pooled = torch.nn.functional.linear(x[:, 0], WEIGHT, BIAS)  # no longer a text
    torch.testing.assert_close(pooled, expected[:, 0])
    assert found.shape == expected.shape and seen == [4, 4]
    assert torch.equal(torch.nn.functional.linear(x, WEIGHT, BIAS), expected), "outside nothing is spared"


def test_what_is_spared_ends_with_an_error():
    recording, x = Recording(), draw(4, 3, 16)
    with pytest.raises(ValueError, match="no such map"), SparingLinear(recording, 0, 3, 1):
        fails(torch.nn.functional.linear(x, WEIGHT))
    assert torch.nn.functional.linear(x, WEIGHT).stride()[1] == 24
    assert recording.on_layer is None


def fails(mapped: torch.Tensor) -> None:
    assert mapped.stride()[1] == 0, "one position stands at all others"
    raise ValueError("no such map")
