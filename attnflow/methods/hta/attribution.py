"""Hidden Token Attribution: how much the output of every head at every token depends on every source token.

The contribution of source `i` to the output `o` of a head at token `j` is the Frobenius norm of the Jacobian block
`d o_j / d e_i`, divided by the sum of these norms over all sources. A change of one source token is pushed forwards
through the model, which moves the outputs of all layers and heads at once: pushing every dimension of a token gives its
norms exactly, pushing Gaussian directions `v` estimates them, because the mean of `||J v||^2` is `||J||_F^2`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError, UnsupportedArchitectureError
from attnflow.methods.hta.closed_form import plain_jacobian_squares
from attnflow.methods.hta.from_weights import squares_from_weights
from attnflow.methods.hta.pushforward import Stretch, squared_changes
from attnflow.methods.hta.token_paths import TokenPath, token_paths
from attnflow.records.estimates import c4
from attnflow.records.root import Root
from attnflow.records.stacks import Stacks
from attnflow.records.trace import Attribution, Encoding, Head, check_heads, is_whole
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capabilities import text_enters_once
from attnflow.runtime.capture import head_gates, model_inputs, shared_array
from attnflow.runtime.root import root_is_known, root_of

Wrt = Literal["input", "previous_layer"]
WRT: tuple[Wrt, ...] = ("input", "previous_layer")
Precision = Literal["float32", "bfloat16"]

Progress = Callable[[float], None]
"""Called with the share of the work that is done; what it raises ends the work."""


def hidden_token_attribution(
    checkpoint: Checkpoint,
    encoding: Encoding,
    *,
    wrt: Wrt = "input",
    probes: int | None = None,
    seed: int = 0,
    pruned: Iterable[Head] = (),
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Attribution:
    """Compute what each head's output at each token owes to each source token, for all layers and heads.

    Args:
        checkpoint: The model to look into.
        encoding: A pair encoded for this checkpoint.
        wrt: `input`: the sources are what enters the first layer (`hidden_states[0]`, after the embeddings and their
            layer norm). `previous_layer`: they are what enters the head's own layer, before any layer norm in it.
        probes: Gaussian directions per source token to estimate from; None for the exact values. The error falls with
            the square root of their number.
        seed: Of the probes: the same seed gives the same estimate.
        pruned: Heads `(layer, head)` that are switched off, as in `capture`; their own rows are 0.
        precision: Of the matrix products of an estimate. `bfloat16` is faster where processors have it, and off by some
            tenths of a per cent more, which the standard error does not know.
        progress: Called now and then with the share that is done. It may raise to cancel; nothing is left behind.

    Returns:
        Values whose rows sum to 1, and for an estimate their standard error.

    Raises:
        SelectionError: If `wrt`, `probes`, `seed`, `precision` or a pruned head is out of range.
        UnsupportedArchitectureError: If the layers of the model cannot be told.

    Reference:
        Pascual, Brunner and Wattenhofer, *Telling BERT's Full Story*, eq. 1, with the norm read as the Frobenius norm
        of the whole Jacobian block. The paper's source is the sum of the embeddings; here it is what enters the first
        layer, after their layer norm, as `hidden_states[0]` of transformers.

    Example:
        >>> from attnflow import encode, load_checkpoint
        >>> checkpoint = load_checkpoint("demo/finetuned")
        >>> local = hidden_token_attribution(checkpoint, encode(checkpoint, "Anna met Paul."), wrt="previous_layer")
        >>> local.values.shape, bool((abs(local.values.sum(-1) - 1) < 1e-5).all())
        ((4, 4, 6, 6), True)
    """
    if probes is None:
        return _exact(_Task.checked(checkpoint, encoding, wrt, None, seed, pruned, precision), progress)
    steps = attribution_estimates(
        checkpoint,
        encoding,
        wrt=wrt,
        probes=probes,
        seed=seed,
        pruned=pruned,
        precision=precision,
        progress=progress,
    )
    *_, last = steps
    return last


def attribution_estimates(
    checkpoint: Checkpoint,
    encoding: Encoding,
    *,
    wrt: Wrt = "input",
    probes: int = 16,
    seed: int = 0,
    pruned: Iterable[Head] = (),
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Iterator[Attribution]:
    """Estimate as `hidden_token_attribution` does, and give every sharper estimate on the way.

    Args:
        checkpoint: As there.
        encoding: As there.
        wrt: As there.
        probes: Probes of the last estimate.
        seed: As there.
        pruned: As there.
        precision: As there.
        progress: As there.

    Yields:
        Estimates from 2, 4, 8, … and at last `probes` probes, each from all probes so far. Stop asking to cancel.
    """
    task = _Task.checked(checkpoint, encoding, wrt, probes, seed, pruned, precision)
    return _estimates(task, probes, seed, progress)


@dataclass(frozen=True)
class _Task:
    """Checked arguments, and the stretches of layers whose sum of squares is wanted."""

    encoding: Encoding
    wrt: Wrt
    pruned: frozenset[Head]
    root: Root | None
    stacks: Stacks | None
    width: int
    paths: tuple[TokenPath | None, ...]
    """What each layer does to a token, if its Jacobians are wanted."""
    stretches: list[Stretch]
    seen: attention_hook.Recording
    """Of one pass over all layers."""

    @property
    def device(self) -> torch.device:
        """Where everything is computed."""
        return self.stretches[0].hidden.device

    @classmethod
    def checked(
        cls,
        checkpoint: Checkpoint,
        encoding: Encoding,
        wrt: Wrt,
        probes: int | None,
        seed: int,
        pruned: Iterable[Head],
        precision: Precision = "float32",
    ) -> _Task:
        if wrt not in WRT:
            raise SelectionError(f"wrt is {wrt!r}; give 'input' or 'previous_layer'.")
        check_probes(probes, checkpoint.width)
        if not is_whole(seed) or seed < 0:
            raise SelectionError(f"seed is {seed!r}; give a whole number from 0.")
        if precision not in ("float32", "bfloat16") or (precision == "bfloat16" and probes is None):
            raise SelectionError(
                f"precision is {precision!r}; give 'float32' or, for an estimate with a number of probes, 'bfloat16'."
            )
        heads = check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads) | checkpoint.pruned
        if not checkpoint.steerable:
            raise UnsupportedArchitectureError(
                f"The layers of {checkpoint.name} cannot be told from its other parts, so what enters them cannot be "
                "changed and contributions cannot be computed. Choose another checkpoint."
            )
        if wrt == "input" and not text_enters_once(checkpoint):
            raise UnsupportedArchitectureError(
                f"{checkpoint.name} reads its tokens again beside its first layer, so contributions of the input would "
                "leave a part out. Ask for those of the previous layer, or choose another checkpoint."
            )
        gates = head_gates(checkpoint, heads)
        entering, seen = _entering(checkpoint, encoding, gates, keep_calls=wrt == "previous_layer" and probes is None)
        # Where a layer has several attentions, as with source and target, what they are called with is not kept.
        paths = token_paths(checkpoint) if seen.calls and len(seen.calls) == checkpoint.n_layers else ()
        ends = [(0, checkpoint.n_layers - 1)] if wrt == "input" else [(index, index) for index in range(len(entering))]
        stretches = [
            Stretch(
                checkpoint.model.base_model,
                model_inputs(encoding, device=checkpoint.device),
                gates,
                start,
                last,
                entering[start],
                bfloat16=precision == "bfloat16",
            )
            for start, last in ends
        ]
        root = root_of(checkpoint, encoding) if root_is_known(checkpoint, encoding) else None
        stacks = checkpoint.stacks
        return cls(encoding, wrt, heads, root, stacks, checkpoint.width, paths, stretches, seen)

    def result(
        self, squares: torch.Tensor, probes: int | None = None, error: torch.Tensor | None = None
    ) -> Attribution:
        """Norms as shares of their row."""
        return Attribution(
            tokens=self.encoding.tokens,
            values=shared_array(_shares(squares.sqrt())),
            wrt=self.wrt,
            probes=probes,
            standard_error=None if error is None else shared_array(error),
            pruned=self.pruned,
            root=self.root,
            stacks=self.stacks,
        )


def operations(n_layers: int, width: int, size: int, probes: int | None) -> int:
    """About how many floating-point operations contributions of the input take.

    Counted are the linear maps of layers whose feed-forward part is four times as wide as they are.

    Args:
        n_layers: `L`
        width: `D`
        size: `T`
        probes: Of the estimate; None for the exact values.
    """
    return 24 * n_layers * width**2 * size * size * (width if probes is None else probes)


def check_probes(probes: int | None, width: int) -> None:
    """Refuse a number of probes that gives no error bar, or costs more than the exact values.

    Raises:
        SelectionError: If it is neither None nor a whole number from 2 to `width`.
    """
    if probes is not None and (not is_whole(probes) or not 2 <= probes <= width):
        raise SelectionError(
            f"probes is {probes!r}; give a whole number from 2 to {width}, the width of this model, or none for the "
            "exact values."
        )


def _entering(
    checkpoint: Checkpoint, encoding: Encoding, gates: torch.Tensor | None, *, keep_calls: bool
) -> tuple[list[torch.Tensor], attention_hook.Recording]:
    """What enters each layer, `[1, T, D]`, and what their attention found."""
    entering: list[torch.Tensor] = []
    last = checkpoint.n_layers - 1
    with (
        torch.no_grad(),
        attention_hook.record(gates, last=last, keep_calls=keep_calls) as recording,
        layers.steer(enter=layers.kept_in(entering)),
    ):
        checkpoint.model.base_model(**model_inputs(encoding, device=checkpoint.device))
    return entering, recording


def _exact(task: _Task, progress: Progress | None) -> Attribution:
    size = len(task.encoding.tokens)
    unit = torch.eye(task.width, device=task.device)[:, None].expand(-1, size, -1)
    found = []
    for index, stretch in enumerate(task.stretches):
        tell = _part(progress, index / len(task.stretches), 1 / len(task.stretches))
        squares = None
        path = task.paths[index] if task.paths else None
        if path is not None and task.seen.calls:
            squares = squares_from_weights(path, stretch, task.seen.calls[index], task.seen.attention[index][0])
        if squares is None and task.wrt == "previous_layer":
            squares = plain_jacobian_squares(stretch)
        if squares is None:
            squares, _ = squared_changes(stretch, unit, tell)
        found.append(squares)
        tell(1.0)
    return task.result(torch.cat(found))


def _estimates(task: _Task, probes: int, seed: int, progress: Progress | None) -> Iterator[Attribution]:
    size = len(task.encoding.tokens)
    generator = torch.Generator().manual_seed(seed)
    first: torch.Tensor | int = 0
    second: torch.Tensor | int = 0
    count = 0
    while count < probes:
        fresh = min(max(2, 2 * count), probes) - count
        # Drawn on the CPU, so that a seed means the same on every device.
        directions = torch.randn(fresh, size, task.width, generator=generator, device="cpu").to(task.device)
        share = fresh / probes / len(task.stretches)
        moments = [
            squared_changes(stretch, directions, _part(progress, count / probes + index * share, share))
            for index, stretch in enumerate(task.stretches)
        ]
        first = first + torch.cat([moment for moment, _ in moments])
        second = second + torch.cat([moment for _, moment in moments])
        count += fresh
        yield task.result(first / count, count, _standard_error(first, second, count))


def _standard_error(first: torch.Tensor, second: torch.Tensor, count: int) -> torch.Tensor:
    """Of the shares, by the delta method, from the sums over the probes of `y = ||J v||^2` and of `y^2`.

    A norm is `n = sqrt(mean y)`, so `var n = mean y * spread / 4 / count` with `spread = var y / (mean y)^2`. A share
    is `c_i = n_i / N`, `N = sum_k n_k`, and the probes of different sources are independent, so
    `var c_i = ((1 - c_i)^2 var n_i + c_i^2 sum_{k != i} var n_k) / N^2`. The root of an estimated variance is too
    small on average, by the factor `c4`, and that is divided out.
    """
    mean = first / count
    variance = (second / count - mean.square()).clamp(min=0) * count / (count - 1)
    spread = torch.where(mean > 0, variance / mean.square(), 0)
    # Squares of normal variables are skewed, and few of them spread too little about a mean of their own: for sums of
    # r of them the spread is 2 / r, and its estimate is low by count / (count + 2 / r).
    spread = spread * (1 + spread / count)
    of_norm = mean * spread / (4 * count)
    norms = mean.sqrt()
    total = norms.sum(-1, keepdim=True)
    share = _shares(norms)
    others = of_norm.sum(-1, keepdim=True) - of_norm
    of_share = (1 - share).square() * of_norm + share.square() * others
    return torch.where(total > 0, of_share.sqrt() / total / c4(count), 0)


def _shares(norms: torch.Tensor) -> torch.Tensor:
    """Divide by the sum of the row; a row of zeros stays one."""
    total = norms.sum(-1, keepdim=True)
    return torch.where(total > 0, norms / total, 0)


def _part(progress: Progress | None, begin: float, size: float) -> Progress:
    """Progress of a part of the work, which begins at a share of the whole and is a share of it."""
    return lambda done: None if progress is None else progress(begin + size * done)
