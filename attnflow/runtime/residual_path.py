"""Follows a layer from its heads' outputs and from its input to its output, with feed-forward part and scales constant.

On that way stand the output projection, residual sums and normalisations, before or after the sums as the architecture
has them. With the scale of every normalisation a constant, and what any other linear map gives a constant too, what
leaves the layer for a token is a linear map of what its heads write and of what entered it: weights and centring that
all tokens share, and a factor for each token. Which operations these are is not looked up by architecture but seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import UnsupportedArchitectureError
from attnflow.records.trace import Encoding, Head
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capture import model_inputs
from attnflow.runtime.linear import linear_map
from attnflow.runtime.recorded import head_gates
from attnflow.runtime.value_norms import product_map


@dataclass(frozen=True, eq=False)
class Way:
    """A linear map of vectors `[…, D]` that treats every token by itself."""

    factor: Tensor
    """`[T, 1]`, or one number for all tokens."""
    steps: tuple[Tensor | None, ...] = ()
    """What all tokens share, one after the other: weights `[D]`, or None for taking the mean away."""

    def of(self, vectors: Tensor) -> Tensor:
        """What becomes of vectors `[…, D]`, but for the factor of their token."""
        for step in self.steps:
            vectors = vectors - vectors.mean(-1, keepdim=True) if step is None else vectors * step
        return vectors

    def scaled(self, factor: Tensor) -> Way:
        """Followed by a factor."""
        return replace(self, factor=self.factor * factor)

    def then(self, *steps: Tensor | None) -> Way:
        """Followed by steps."""
        return replace(self, steps=self.steps + steps)


@dataclass(frozen=True, eq=False)
class LayerWays:
    """The ways to what leaves a layer."""

    projection: Tensor
    """`[D, H * K]`: the output projection of its heads."""
    heads: Way
    """From what is projected."""
    residual: Way
    """From what enters the layer."""


_Ways = dict[str, Way]
"""From `heads` and from `residual`, as far as a tensor is made of them."""


def layer_ways(checkpoint: Checkpoint, encoding: Encoding, pruned: frozenset[Head] = frozenset()) -> list[LayerWays]:
    """The ways through each layer while a checkpoint reads a text.

    Args:
        checkpoint: A steerable checkpoint.
        encoding: A pair encoded for it.
        pruned: Heads that are switched off.

    Raises:
        UnsupportedArchitectureError: If on the way stands an operation that cannot be followed, or none leads there.
    """
    found: list[LayerWays] = []
    with (
        torch.inference_mode(),
        attention_hook.record(head_gates(checkpoint, pruned | checkpoint.pruned)) as recording,
        _Follow(recording, checkpoint.name) as follow,
        layers.steer(
            enter=follow.enter, leave=lambda _, hidden: found.append(follow.left(hidden)), last=checkpoint.n_layers - 1
        ),
    ):
        checkpoint.model.base_model(**model_inputs(encoding, device=checkpoint.device))
    return found


class _Follow(TorchFunctionMode):
    """Sees each operation of a forward pass and follows those on the way."""

    def __init__(self, recording: attention_hook.Recording, model: str) -> None:
        super().__init__()
        self._recording, self._model = recording, model
        self._known: dict[int, tuple[Tensor, _Ways]] = {}
        """By identity: a tensor and its ways; it is held so that no other one takes its place."""
        self._means: dict[int, tuple[Tensor, Tensor]] = {}
        """Means over the width, and what they are the means of."""
        self._layer = -1
        self._entered: Tensor | None = None
        self._projection: Tensor | None = None

    def enter(self, layer: int, hidden: Tensor) -> Tensor:
        """A layer begins with what enters it."""
        self._layer, self._entered, self._projection = layer, hidden, None
        self._means.clear()
        self._known = {id(hidden): (hidden, {"residual": Way(torch.ones((), device=hidden.device))})}
        return hidden

    def left(self, hidden: Tensor) -> LayerWays:
        """A layer ends with what leaves it."""
        ways = self.ways(hidden)
        if self._projection is None or set(ways) != {"heads", "residual"}:
            lacking = "heads" if "heads" not in ways else "input"
            self.refuse(f"what leaves it is not made of what its {lacking} gave by sums and normalisations alone")
        return LayerWays(self._projection, ways["heads"], ways["residual"])

    def refuse(self, why: str) -> NoReturn:
        """Say what cannot be followed.

        Raises:
            UnsupportedArchitectureError: Always.
        """
        raise UnsupportedArchitectureError(
            f"What each token adds to the vectors of {self._model} cannot be told in layer {self._layer + 1}: {why}. "
            "Choose another method, such as value_zeroing."
        )

    def ways(self, value: Any) -> _Ways:
        """The ways to an operand; none if it is a constant."""
        return self._known[id(value)][1] if isinstance(value, Tensor) and id(value) in self._known else {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not isinstance(result, Tensor) or self._entered is None:
            return result
        linear = linear_map(func, args, kwargs) or product_map(func, args)
        if linear is not None:
            if self._projection is None and self._takes_heads(linear[0]):
                self._projection = linear[1]
                self._knows(result, {"heads": Way(torch.ones((), device=result.device))})
            return result
        operands = [*args, *kwargs.values()]
        if any(map(self.ways, operands)) and func not in _CONSTANT:
            rule = _RULES.get(func)
            if rule is None:
                self.refuse(f"there is no rule for {resolve_name(func) or func}")
            self._knows(result, rule(self, *args, **kwargs))
            if func in _MEANS:
                self._means[id(result)] = (result, args[0])
        return result

    def _takes_heads(self, x: Tensor) -> bool:
        """Whether a linear map is applied to the heads' outputs of this layer."""
        outputs = self._recording.head_output
        return (
            len(outputs) == self._layer + 1
            and x.numel() == outputs[-1].numel()
            and torch.equal(x.reshape(-1), outputs[-1].reshape(-1))
        )

    def _knows(self, result: Tensor, ways: _Ways) -> None:
        if ways:
            self._known[id(result)] = (result, ways)
        else:
            self._known.pop(id(result), None)

    # ---- the rules: operands as torch is given them, to the ways of the result

    def same(self, x: Tensor, *_: Any, **__: Any) -> _Ways:
        """The same vectors in another shape or precision."""
        return self.ways(x)

    def sum(self, left: Any, right: Any, **kwargs: Any) -> _Ways:
        """What is no way adds a constant; a mean that is taken away is centring."""
        if kwargs:
            self.refuse("there is no rule for a sum with a factor")
        one, other = self.ways(left), self.ways(right)
        both = set(one) & set(other)
        if both:
            self.refuse("it adds to each other two vectors that are both made of the same")
        return one | other

    def difference(self, left: Any, right: Any, **kwargs: Any) -> _Ways:
        """A difference from the mean, or from a constant."""
        _, source = self._means.get(id(right), (None, None))
        if source is left:
            return {name: way.then(None) for name, way in self.ways(left).items()}
        if self.ways(right):
            self.refuse("it takes a vector on the way from another")
        return self.ways(left)

    def product(self, left: Any, right: Any) -> _Ways:
        """With numbers, or with weights that all tokens share."""
        one, other = self.ways(left), self.ways(right)
        if one and other:
            return {}  # a square, of which a scale is made
        return self._times(one or other, right if one else left)

    def quotient(self, left: Any, right: Any) -> _Ways:
        """By numbers, or by weights that all tokens share."""
        if self.ways(right):
            self.refuse("it divides by a vector on the way")
        return self._times(self.ways(left), 1 / right)

    def _times(self, ways: _Ways, by: Any) -> _Ways:
        width = self._entered.shape[-1] if self._entered is not None else 0
        by = torch.as_tensor(by, device=by.device if isinstance(by, torch.Tensor) else "cpu")
        if by.numel() == 1 or (by.dim() and by.shape[-1] == 1):
            factor = by.detach().reshape(-1, 1) if by.numel() > 1 else by.detach().reshape(())
            return {name: way.scaled(factor) for name, way in ways.items()}
        if by.numel() != width:
            self.refuse("it multiplies a vector on the way with another one for each token")
        return {name: way.then(by.detach().reshape(-1)) for name, way in ways.items()}

    def layer_norm(
        self, x: Tensor, shape: Any, weight: Tensor | None = None, bias: Any = None, eps: float = 1e-5
    ) -> _Ways:
        """The mean is taken away; the scale is a constant."""
        scale = (x.float().var(-1, correction=0, keepdim=True) + eps).rsqrt().reshape(-1, 1)
        return {name: way.scaled(scale).then(None, *self._weights(weight)) for name, way in self.ways(x).items()}

    def rms_norm(self, x: Tensor, shape: Any, weight: Tensor | None = None, eps: float | None = None) -> _Ways:
        """The scale is a constant."""
        eps = torch.finfo(x.dtype).eps if eps is None else eps
        scale = (x.float().square().mean(-1, keepdim=True) + eps).rsqrt().reshape(-1, 1)
        return {name: way.scaled(scale).then(*self._weights(weight)) for name, way in self.ways(x).items()}

    @staticmethod
    def _weights(weight: Tensor | None) -> tuple[Tensor, ...]:
        return () if weight is None else (weight.detach(),)


_Rule = Callable[..., _Ways]
_CONSTANT = frozenset((torch.pow, Tensor.pow, Tensor.__pow__, torch.square, Tensor.square, torch.var, Tensor.var))
"""What a scale is made of."""
_MEANS = frozenset((torch.mean, Tensor.mean))


def _mean(follow: _Follow, x: Tensor, *_: Any, **__: Any) -> _Ways:
    """It is no way by itself, only where it is taken away."""
    return {}


_RULES: dict[Any, _Rule] = {
    **dict.fromkeys((F.dropout, Tensor.to, Tensor.type, Tensor.type_as, Tensor.float, Tensor.double), _Follow.same),
    **dict.fromkeys((Tensor.contiguous, Tensor.clone, torch.clone, Tensor.view, Tensor.reshape), _Follow.same),
    **dict.fromkeys((Tensor.view_as, Tensor.reshape_as, Tensor.detach), _Follow.same),
    **dict.fromkeys((torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__), _Follow.sum),
    **dict.fromkeys((Tensor.add_, Tensor.__iadd__), _Follow.sum),
    **dict.fromkeys((torch.sub, Tensor.sub, Tensor.__sub__), _Follow.difference),
    **dict.fromkeys((torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__), _Follow.product),
    **dict.fromkeys((Tensor.mul_, Tensor.__imul__), _Follow.product),
    **dict.fromkeys((torch.div, Tensor.div, Tensor.__truediv__), _Follow.quotient),
    **dict.fromkeys(_MEANS, _mean),
    F.layer_norm: _Follow.layer_norm,
    F.rms_norm: _Follow.rms_norm,
}
"""Operations that are followed; any other that meets a vector on the way is refused."""
