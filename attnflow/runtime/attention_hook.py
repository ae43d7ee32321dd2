"""One attention function for every architecture, which can be watched and gated while a model runs.

transformers lets a library register an attention function by name. Ours calls the architecture's own eager function,
so grouped key/value heads, soft caps, sinks and position biases are exactly those of transformers, and, when a
recording is active in the current context, keeps the probabilities and the heads' outputs and applies head gates.
No hook is set and no module is changed, and two threads that run one model at once do not see each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch.nn.functional import pad
from transformers.masking_utils import AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface

from attnflow import progress
from attnflow.checkpoints.architectures import ATTENTION
from attnflow.runtime.compat import eager_attention, eager_mask

NAME = ATTENTION
"""The `attn_implementation` under which the function is registered."""


@dataclass(frozen=True)
class Call:
    """What the attention of one layer was called with, and what it gave before any gate."""

    query: torch.Tensor
    """`[B, H, T, K]`, with whatever the architecture does to it: rotation, normalisation."""
    key: torch.Tensor
    """`[B, H or fewer, T, K]`."""
    value: torch.Tensor
    """Like `key`."""
    mask: torch.Tensor | None
    """Additive, broadcast to `[B, H, T, T]`."""
    scaling: float
    """Factor of the products of query and key."""
    output: torch.Tensor
    """`[B, T, H, K]`."""


@dataclass(frozen=True)
class Part:
    """Where one of several attentions of a layer stands among all heads and tokens of that layer."""

    head: int
    """Its first head."""
    queries: slice
    """The tokens that attend."""
    keys: slice
    """Those that are attended to."""

    def rows(self, size: int) -> tuple[int, int]:
        """How many tokens of `T` stand before and after those that attend."""
        return self.queries.start, size - self.queries.stop


@dataclass(frozen=True)
class Made:
    """What one attention computed."""

    layer: int
    head: int
    """Its first head among all of its layer."""
    probabilities: torch.Tensor
    """`[B, h, queries, keys]`"""
    output: torch.Tensor
    """`[B, queries, h, K]`, after the gates."""
    value: torch.Tensor | None
    """`[B, h or fewer, keys, K]`, if it can be seen."""


class _Enough(Exception):
    """Ends a forward pass of which only the layers so far are wanted; never leaves `record`."""


@dataclass
class Recording:
    """What the attention layers of one forward pass computed, in the order in which they ran.

    The order, not the layer's own index, tells the layer: ALBERT runs one set of weights as all its layers.
    """

    gates: torch.Tensor | None = None
    """`[L, H]` or `[B, L, H]`, multiplied with the heads' outputs; None leaves them as they are."""
    attention: list[torch.Tensor] = field(default_factory=list)
    """For each layer `[B, H, T, T]`."""
    head_output: list[torch.Tensor] = field(default_factory=list)
    """For each layer `[B, T, H, K]`, after the gates."""
    keep: bool = True
    """False: gate only, and leave nothing in the lists."""
    layer: int = 0
    """Index of the layer that runs next; layers that are skipped count, but leave nothing in the lists."""
    last: int | None = None
    """The layer whose attention ends the forward pass; None runs all of it."""
    calls: list[Call] | None = None
    """For each layer what its attention was called with, if that is to be kept."""
    values: list[torch.Tensor | None] | None = None
    """For each layer `[B, H or fewer, T, K]`, if they are to be kept; None for a layer whose values cannot be seen."""
    differentiable: bool = False
    """Whether what is computed from `attention` can be differentiated with respect to it, though no weight can."""
    given: tuple[int, torch.Tensor] | None = None
    """A layer, and what its heads give instead of what they would compute, `[B, T, H, K]`; no gate is applied to it."""
    expected: list[Part] = field(default_factory=list)
    """Where the next attentions stand that together are those of one layer; empty where each is a layer by itself."""
    sizes: tuple[int, int] = (0, 0)
    """`H` and `T` of the layer that they belong to."""
    made: list[Made] | None = None
    """What each attention computed, one by one, if that is to be kept: several of them may be those of one layer."""
    n_made: int = 0
    """How many attentions have run."""
    on_layer: Callable[[], None] | None = None
    """Called whenever `layer` has changed."""
    _parts: list[tuple[Part, torch.Tensor, torch.Tensor, torch.Tensor | None]] = field(default_factory=list)

    def given_now(self) -> torch.Tensor | None:
        """What the heads of the layer that runs now are to give, if that is told."""
        return self.given[1] if self.given is not None and self.given[0] == self.layer else None

    def add(self, probabilities: torch.Tensor, output: torch.Tensor, value: torch.Tensor | None = None) -> torch.Tensor:
        """Keep what a layer computed and return its heads' outputs `[B, T, H, K]` after the gates."""
        part = self.expected.pop(0) if self.expected else None
        given = self.given_now()
        if given is not None:
            output = given
        elif self.gates is not None:
            gates = self.gates[..., self.layer, :].to(output)
            gates = gates if part is None else gates[..., part.head : part.head + output.shape[2]]
            output = output * (gates[:, None, :, None] if gates.dim() == 2 else gates[:, None])
        self.n_made += 1
        if self.made is not None:
            self.made.append(Made(self.layer, 0 if part is None else part.head, probabilities, output, value))
        if part is not None:
            self._parts.append((part, probabilities, output, value))
            if self.expected:
                return output
        if self.keep:
            whole = (probabilities, output, value) if part is None else self._together()
            self.attention.append(whole[0])
            self.head_output.append(whole[1])
            if self.values is not None:
                self.values.append(whole[2])
        self._parts = []
        self.next_layer()
        if self.last is not None and self.layer > self.last:
            raise _Enough
        return output

    def next_layer(self) -> None:
        """Count a layer that has run, or is left out."""
        self.layer += 1
        if self.on_layer is not None:
            self.on_layer()

    def _together(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """`[B, H, T, T]`, `[B, T, H, K]` and `[B, H, T, K]` of the parts of a layer.

        Where no part has a row, the token attends to itself alone, and the head gives nothing. All of it is made of
        sums, so that derivatives of any kind go through.
        """
        n_heads, size = self.sizes
        own = torch.ones(n_heads, size, device=self._parts[0][1].device)
        attention, outputs, values = 0, 0, 0
        for part, probabilities, output, value in self._parts:
            heads = part.head, n_heads - part.head - output.shape[2]
            before, after = part.rows(size)
            keys = part.keys.start, size - part.keys.stop
            own[part.head : part.head + output.shape[2], part.queries] = 0
            attention = attention + pad(probabilities, (*keys, before, after, *heads))
            outputs = outputs + pad(output, (0, 0, *heads, before, after))
            values = None if values is None or value is None else values + pad(value, (0, 0, *keys, *heads))
        return attention + own.to(self._parts[0][1]).diag_embed(), outputs, values  # pyright: ignore[reportReturnType]


_recording: ContextVar[Recording | None] = ContextVar("attnflow_recording", default=None)


@contextmanager
def record(
    gates: torch.Tensor | None = None,
    *,
    keep: bool = True,
    last: int | None = None,
    keep_calls: bool = False,
    keep_values: bool = False,
    keep_made: bool = False,
    differentiable: bool = False,
    given: tuple[int, torch.Tensor] | None = None,
) -> Iterator[Recording]:
    """Record every attention layer that runs in this context; afterwards nothing is left behind.

    Args:
        gates: `[L, H]` or `[B, L, H]`, multiplied with the heads' outputs.
        keep: False to gate only, and leave nothing in the lists.
        last: Layer whose attention ends the block: what the model would compute after it is not run.
        keep_calls: Whether to keep what the attention of each layer was called with.
        keep_values: Whether to keep the values that each layer's attention was multiplied with.
        keep_made: Whether to keep what each attention computed by itself, with its values.
        differentiable: Whether one will differentiate with respect to the attention that is recorded.
        given: A layer, and what its heads give instead of what they would compute, `[B, T, H, K]`.
    """
    recording = Recording(
        gates,
        keep=keep,
        last=last,
        calls=[] if keep_calls else None,
        values=[] if keep_values or keep_made else None,
        made=[] if keep_made else None,
        differentiable=differentiable,
        given=given,
    )
    token = _recording.set(recording)
    try:
        yield recording
    except _Enough:
        pass
    finally:
        _recording.reset(token)


def active() -> Recording | None:
    """The recording of the current context, if there is one."""
    return _recording.get()


def expect(parts: list[Part], n_heads: int, size: int) -> None:
    """Tell an active recording that the next attentions are those of one layer together.

    Args:
        parts: Where each of them stands, in the order in which they run.
        n_heads: `H` of the layer.
        size: `T`
    """
    recording = _recording.get()
    if recording is not None:
        recording.expected, recording.sizes = parts, (n_heads, size)


def skip_layer() -> None:
    """Tell an active recording that a layer is left out of the forward pass."""
    recording = _recording.get()
    if recording is not None:
        recording.next_layer()


eager_function = cache(eager_attention)
"""The eager attention function that an attention module would fall back to, or None if it has none."""


def attention_forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The registered function: the architecture's own attention, recorded and gated if a recording is active.

    Args:
        module: The attention module that calls.
        query: `[B, H, T, K]`.
        key: `[B, H or fewer, T, K]`.
        value: Like `key`.
        attention_mask: Additive, broadcast to `[B, H, T, T]`.
        **options: Whatever the architecture passes on: scaling, soft cap, sinks, position bias.

    Returns:
        Heads' outputs `[B, T, H, K]` and probabilities `[B, H, T, T]`.
    """
    progress.go_on()
    eager = eager_function(type(module))
    if eager is None:
        raise NotImplementedError(f"{type(module).__name__} has no eager attention function")
    recording = _recording.get()
    given = recording.given_now() if recording is not None else None
    if recording is not None and given is not None and not recording.keep:
        return recording.add(given, given), given  # nobody looks at the attention of such a layer
    if recording is not None and recording.differentiable and not query.requires_grad:
        query = query.detach().requires_grad_()  # nothing before it can be differentiated: here it begins
    output, probabilities = eager(module, query, key, value, attention_mask, **options)
    if recording is None:
        return output, probabilities
    if recording.calls is not None and not recording.expected:
        scaling = options.get("scaling")
        scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        recording.calls.append(Call(query, key, value, attention_mask, scaling, output))
    return recording.add(probabilities, output, value), probabilities


AttentionInterface.register(NAME, attention_forward)
AttentionMaskInterface.register(NAME, eager_mask)
