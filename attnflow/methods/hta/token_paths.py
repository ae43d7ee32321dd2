"""What a layer does to one token before attention, where it is: normalise, project, rotate.

Query, key and value of a token `x` at position `t` are then `R_t (A n(x) + c)`: `n` is nothing, layer norm or RMS norm
without its weights, which are in `A`, and `R_t` a rotation, or nothing. Which it is, and which rows of which weights
make `A`, is not looked up by name but found by trying chosen vectors, once for each checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.methods.hta.normalisation import Norm, chosen_vectors, find_norm
from attnflow.methods.hta.pushforward import Stretch
from attnflow.methods.hta.trial import Moved, negligible, trial
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.attention_hook import Call
from attnflow.runtime.capabilities import probe
from attnflow.runtime.linear import linear_map

_NAME = "token paths"
_TOKENS = 8
"""Of the text on which what was found is tried."""


@dataclass(frozen=True, eq=False)
class TokenPath:
    """How one layer makes query, key and value of a token; in float32, or the precision of the model if that is finer.

    With heads of a twelfth of the width it takes less than a third of the memory of the weights it stands for.
    """

    norm: Norm | None
    offsets: tuple[torch.Tensor, ...]
    """`c` of query, key and value: `[H, 1, K]`, and twice `[H or fewer, 1, K]`."""
    products: dict[str, torch.Tensor]
    """`A C A'` of two parts, `[H or fewer, K, K]`, by their initials: vk, kk, vq, kq, qq. `C` is the norm's."""
    value_square: torch.Tensor
    """`[H or fewer]`: the squared norm of the values' `A C`."""
    codes: tuple[torch.Tensor, ...] | None
    """What stands for the results of the layer's linear maps to make its rotations seen; None if it does not rotate."""
    weights: tuple[torch.Tensor, ...]
    """Random, for the entries of query, key and value, `[H or fewer, 1, K]`: a sum by them is cheap to follow."""
    rows: torch.Tensor
    """`[3, D]`: what the weighted sums of query, key and value are of `n(x)`; beside it the sums of `c` are added."""

    def rotations(self, stretch: Stretch) -> tuple[torch.Tensor, torch.Tensor] | None:
        """`R_t` of query and key, `[T, K, K]` each, at the positions of a text; None if the layer does not rotate."""
        return None if self.codes is None else _rotations(self.codes, stretch)

    def gives(self, call: Call, hidden: torch.Tensor, turned: tuple[torch.Tensor, torch.Tensor] | None) -> bool:
        """Whether it gives query, key and value of this text, `hidden` `[T, D]`: told by a weighted sum of them.

        So what leaves no trace on the text that it was found with, such as a bound that is seldom reached, is seen.
        """
        normal = hidden if self.norm is None else self.norm(hidden)[0]
        parts = (call.query[0], call.key[0], call.value[0])
        for index, (part, weights, offset) in enumerate(zip(parts, self.weights, self.offsets, strict=True)):
            expected = normal @ self.rows[index] + (weights * offset).sum()
            rotation = None if turned is None or index == 2 else turned[index]
            if rotation is not None:  # the product of two turned vectors is theirs, times the square of a scale
                weights = rotate(rotation, weights.expand(-1, len(hidden), -1))
                expected = expected * rotation.square().sum() / rotation.shape[0] / rotation.shape[1]
            terms = part.to(weights) * weights
            if not negligible(terms.sum((0, 2)) - expected, terms.square().sum((0, 2)).sqrt(), part.dtype):
                return False
        return True


def rotate(rotation: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """`R_t` `[T, K, K]` applied to `[H, T, K]`."""
    return torch.einsum("tkl,htl->htk", rotation, part)


@dataclass
class _Linears(TorchFunctionMode):
    """Watches, and perhaps replaces, the linear maps before the attention of a layer that take what enters it."""

    layer: int
    width: int
    instead: tuple[torch.Tensor, ...] | None = None
    """For each of them what stands for its result at all tokens, `[B, out]`."""
    found: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
    """Input `[…, D]` and weight `[out, D]` of each."""

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        recording = attention_hook.active()
        here = recording is not None and recording.layer == self.layer
        linear = linear_map(func, args, kwargs or {}) if here else None
        if linear is None or linear[1].shape[1] != self.width:
            return func(*args, **(kwargs or {}))
        x, weight, _ = linear
        self.found.append((x, weight))
        if self.instead is None:
            return func(*args, **(kwargs or {}))
        result = self.instead[len(self.found) - 1]
        tokens = math.prod(x.shape[:-1]) // len(result)
        return result[:, None].expand(-1, tokens, -1).reshape(*x.shape[:-1], len(weight))


@dataclass(frozen=True, eq=False)
class _Sources:
    """Where the entries of query, key and value come from, for each part `[H or fewer, K]`."""

    features: tuple[torch.Tensor, ...]
    """Numbers of features of the layer's linear maps, counted through."""
    factors: tuple[torch.Tensor, ...]
    """What they are multiplied by."""

    def codes(self, sizes: list[int]) -> tuple[torch.Tensor, ...]:
        """Results of the linear maps with which each head of each row has another unit vector as query and key."""
        wide = self.features[1].shape[1]
        fewest = min(len(self.features[0]), len(self.features[1]))
        codes = self.factors[0].new_zeros(-(-wide // fewest), sum(sizes))
        entry = torch.arange(wide, device=codes.device)
        for features, factors in zip(self.features[:2], self.factors[:2], strict=True):
            head = entry % len(features)
            codes[entry // len(features), features[head, entry]] = 1 / factors[head, entry]
        return codes.split(sizes, dim=1)


def token_paths(checkpoint: Checkpoint) -> tuple[TokenPath | None, ...]:
    """For each layer what it does to a token, found once; None where it does something else."""
    return checkpoint.learnt.get(_NAME, lambda: _find_all(checkpoint))


def lacks_paths(checkpoint: Checkpoint) -> bool:
    """Whether a layer is known to do something else; False as long as nobody has asked."""
    return any(path is None for path in checkpoint.learnt.known(_NAME) or ())


def _find_all(checkpoint: Checkpoint) -> tuple[TokenPath | None, ...]:
    model, entering = checkpoint.model.base_model, list[torch.Tensor]()
    text, word = probe(checkpoint, _TOKENS), probe(checkpoint, 1)
    with torch.no_grad():
        with attention_hook.record(last=checkpoint.n_layers - 1), layers.steer(enter=layers.kept_in(entering)):
            model(**text)
        found = []
        for layer, hidden in enumerate(entering):
            whole, first = (Stretch(model, inputs, None, layer, layer, hidden) for inputs in (text, word))
            try:
                found.append(_find(whole, first))
            except (RuntimeError, ValueError, IndexError):  # shapes that other results of linear maps do not fit
                found.append(None)
        return tuple(found)


def _find(whole: Stretch, word: Stretch) -> TokenPath | None:
    """What the layer of two stretches does: of a text to try it on, and of the first position alone, to find it."""
    recording = whole.run(whole.hidden, keep_calls=True)
    if not recording.calls:  # an attention that is watched from outside
        return None
    chosen = chosen_vectors(whole.hidden)
    of_chosen, found = _call(word, chosen[:, None])
    exact = torch.promote_types(whole.hidden.dtype, torch.float32)
    offsets = tuple(part[0].to(exact) for part in (of_chosen.query, of_chosen.key, of_chosen.value))
    sizes = [len(weight) for _, weight in found]
    sources = _sources(word, sizes, exact)
    if sources is None:
        return None
    taken = _taken(found, sources, len(chosen))
    if taken is None:
        return None
    norm, gain = find_norm(chosen.double(), taken.double())
    every = torch.cat([weight for _, weight in found])
    maps = tuple(
        every[features].double() * factors[..., None] * gain  # [H or fewer, K, D]
        for features, factors in zip(sources.features, sources.factors, strict=True)
    )
    codes = sources.codes(sizes)
    turned = _rotations(codes, whole)
    unit = torch.eye(turned[0].shape[-1]).to(turned[0])
    rotates = not all(negligible(rotation - unit, unit) for rotation in turned)
    moved = trial(whole, recording.calls[-1])
    if moved is None or not _moves(whole, moved, maps, norm, turned):
        return None
    return _path(norm, offsets, maps, codes if rotates else None)


def _call(
    stretch: Stretch, hidden: torch.Tensor, instead: tuple[torch.Tensor, ...] | None = None
) -> tuple[Call, list[tuple[torch.Tensor, torch.Tensor]]]:
    """What attention is called with if several rows enter the layer of a stretch, and the linear maps before it."""
    inputs = {name: values.expand(len(hidden), -1) for name, values in stretch.inputs.items()}
    rows = Stretch(stretch.model, inputs, None, stretch.start, stretch.last, hidden)
    with _Linears(stretch.start, hidden.shape[-1], instead) as watched:
        calls = rows.run(hidden, keep_calls=True).calls
    assert calls is not None, "calls are kept where that is asked for"
    return calls[-1], watched.found


def _sources(word: Stretch, sizes: list[int], exact: torch.dtype) -> _Sources | None:
    """Run with the features' own numbers instead of what they compute, and, in a second row, with ones."""
    numbers = torch.arange(1, sum(sizes) + 1, device=word.hidden.device).to(exact)
    codes = torch.stack([numbers, torch.ones_like(numbers)]).split(sizes, dim=1)
    call, _ = _call(word, word.hidden[:, :1].expand(2, -1, -1), codes)
    parts = [part[:, :, 0] for part in (call.query, call.key, call.value)]  # each [2, H or fewer, K]
    factors = tuple(part[1].to(exact) for part in parts)
    found = [part[0].to(exact) / factor for part, factor in zip(parts, factors, strict=True)]
    features = tuple(part.round().long() - 1 for part in found)
    flat = torch.cat([part.flatten() for part in features])
    straight = all(torch.isfinite(part).all() and (part - part.round()).abs().max() < 0.1 for part in found)
    if not straight or flat.min() < 0 or flat.max() >= sum(sizes) or len(flat.unique()) < len(flat):
        return None
    return _Sources(features, factors)


def _taken(found: list[tuple[torch.Tensor, torch.Tensor]], sources: _Sources, rows: int) -> torch.Tensor | None:
    """`[rows, D]`: what all the linear maps take that query, key and value come from; None if not the same."""
    ends = torch.tensor([len(weight) for _, weight in found], device="cpu").cumsum(0)
    features = torch.cat([part.flatten() for part in sources.features]).cpu()
    used = torch.bucketize(features, ends, right=True).unique()
    first, *others = (found[index][0].reshape(rows, -1) for index in used.tolist())
    return None if any(not torch.equal(first, other) for other in others) else first


def _rotations(codes: tuple[torch.Tensor, ...], stretch: Stretch) -> tuple[torch.Tensor, torch.Tensor]:
    """Each head of each row of the codes holds another unit vector, and all positions the same."""
    hidden = stretch.hidden.expand(len(codes[0]), -1, -1)
    call, _ = _call(stretch, hidden, codes)
    wide = call.query.shape[-1]
    query, key = (part.flatten(0, 1)[:wide].permute(1, 2, 0) for part in (call.query, call.key))
    return query, key


def _moves(
    whole: Stretch,
    moved: Moved,
    maps: tuple[torch.Tensor, ...],
    norm: Norm | None,
    turned: tuple[torch.Tensor, torch.Tensor],
) -> bool:
    """Whether query, key and value move as they should, `[H or fewer, T, K]` each, in the direction of the trial."""
    hidden = whole.hidden[0].double()
    entering = moved.direction.double().expand_as(hidden)
    if norm is not None:
        entering = norm.change(hidden, moved.direction.double())
    for index, (part, matrix) in enumerate(zip(moved.parts, maps, strict=True)):
        expected = entering @ matrix.mT
        if index < 2:
            expected = rotate(turned[index].double(), expected)
        if not negligible(part.double() - expected, part):
            return False
    return True


def _path(
    norm: Norm | None,
    offsets: tuple[torch.Tensor, ...],
    maps: tuple[torch.Tensor, ...],
    codes: tuple[torch.Tensor, ...] | None,
) -> TokenPath:
    exact = offsets[0].dtype
    generator = torch.Generator().manual_seed(1)
    weights = tuple(torch.randn(offset.shape, generator=generator, device="cpu").to(offset) for offset in offsets)
    rows = [torch.einsum("hok,hkd->d", by.double(), matrix) for by, matrix in zip(weights, maps, strict=True)]
    query, key, value = maps if norm is None else (norm.centre(matrix) for matrix in maps)
    groups = len(query) // len(key)
    shared = {name: part.repeat_interleave(groups, dim=0) for name, part in (("k", key), ("v", value))}
    products = {
        "vk": value @ key.mT,
        "kk": key @ key.mT,
        "vq": shared["v"] @ query.mT,
        "kq": shared["k"] @ query.mT,
        "qq": query @ query.mT,
    }
    return TokenPath(
        norm,
        offsets,
        {name: product.to(exact) for name, product in products.items()},
        value.square().sum((1, 2)).to(exact),
        codes,
        weights,
        torch.stack(rows).to(exact),
    )
