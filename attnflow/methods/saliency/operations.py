"""What layer-wise relevance propagation does with each operation of torch: a rule, the gradient, or a refusal.

Each rule gives the operation's own value, with a gradient such that *gradient times input* is the relevance that the
rule assigns. What depends on the text is what requires a gradient: parameters do not, and the input vectors do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import resolve_name

from attnflow.errors import UnsupportedArchitectureError
from attnflow.runtime.compat import custom_functions, is_parameter, version

Operation = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Propagation:
    """One forward pass whose gradient is relevance."""

    constant_attention: bool
    model: str
    """What runs, for refusals."""
    bias_scale: Tensor = field(
        default_factory=lambda: torch.ones((), dtype=torch.float64, device="cpu", requires_grad=True)
    )
    """1, the factor of all biases; its gradient is the relevance that they took."""

    def refuse(self, operation: str) -> NoReturn:
        """Say that an operation has no rule.

        Raises:
            UnsupportedArchitectureError: Always.
        """
        raise UnsupportedArchitectureError(
            f"Relevance cannot be propagated through {self.model}, because there is no rule for {operation}, which it "
            "applies to what depends on the text; choose another method, such as integrated_gradients."
        )

    def check(self, score: Tensor) -> None:
        """Refuse a score that was computed by a function with a gradient of its own, which no rule has seen.

        Raises:
            UnsupportedArchitectureError: If there is one.
        """
        unknown = custom_functions(score) - {_Passed.__name__, _LayerNorm.__name__}
        if unknown:
            self.refuse(f"the function {min(unknown)}")


def depends(*values: Any) -> bool:
    """Whether all values are tensors that depend on the text."""
    for value in values:  # noqa: SIM110 - asked at every operation, where a generator costs more than the question
        if not isinstance(value, Tensor) or not value.requires_grad:
            return False
    return True


# ---- Linear maps: LRP-0 (Bach et al. 2015, section 2.3), as gradient times input is. A bias takes its share.


def _biased(state: Propagation, bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias * state.bias_scale


def _linear(state: Propagation, func: Operation, input: Tensor, weight: Tensor, bias: Any = None, *args: Any) -> Tensor:
    """A linear map or a convolution with a bias."""
    if depends(weight):
        state.refuse(f"{resolve_name(func)} with weights of its own for each text")
    return func(input, weight, _biased(state, bias) if depends(input) else bias, *args)


def _sum(state: Propagation, func: Operation, left: Any, right: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A sum or difference: each summand has its share; a parameter is a bias, as in DeBERTa's layer norm."""
    if depends(left) and is_parameter(right):
        right = _biased(state, right)
    elif depends(right) and is_parameter(left):
        left = _biased(state, left)
    elif depends(left, right):
        origin = _origin(left)
        result = func(left, right, *args, **kwargs)
        return _made_of(result, origin) if origin is _origin(right) else result
    return _scaled(func(left, right, *args, **kwargs), left, right)


def _fused(state: Propagation, func: Operation, added: Any, left: Any, right: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A linear map with a bias, as GPT-2 writes it, or a product of two matrices added to another, as in Bloom."""
    if depends(left) != depends(right) and not depends(added):
        added = _biased(state, added)
    factors = (_half(left), _half(right)) if depends(left, right) else (left, right)
    return func(added, *factors, *args, **kwargs)


# ---- Normalisation: the scale is a constant (Ali et al. 2022, section 3.2; AttnLRP, proposition 3.4).


class _LayerNorm(torch.autograd.Function):
    """Layer norm as the linear map `weight (x - mean x) / sigma + bias`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias_scale: Tensor, shape: Any, weight: Any, bias: Any, eps: float) -> Tensor:
        value, _, scale = torch.native_layer_norm(x, shape, weight, bias, eps)
        ctx.save_for_backward(scale, weight, bias)
        ctx.over = tuple(range(-len(shape), 0))
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (gradient,), (scale, weight, bias) = gradients, ctx.saved_tensors
        to_bias = None if bias is None else torch.dot(gradient.reshape(-1, bias.numel()).sum(0), bias.reshape(-1))
        weighted = gradient if weight is None else gradient * weight
        return (weighted - weighted.mean(ctx.over, keepdim=True)).mul_(scale), to_bias, None, None, None, None


def _layer_norm(
    state: Propagation,
    func: Operation,
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    if depends(weight) or depends(bias):
        state.refuse(f"{resolve_name(func)} with weights of its own for each text")
    if not depends(input):
        return func(input, normalized_shape, weight, bias, eps)
    return _LayerNorm.apply(input, state.bias_scale, normalized_shape, weight, bias, eps)


def _rms_norm(
    state: Propagation,
    func: Operation,
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    if depends(weight):
        state.refuse(f"{resolve_name(func)} with weights of its own for each text")
    over = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    output = input * (input.detach().square().mean(over, keepdim=True) + eps).rsqrt()
    return output if weight is None else output * weight


def _inverse_root(state: Propagation, func: Operation, *args: Any, **kwargs: Any) -> Tensor:
    """The scale of a normalisation that is written out."""
    return func(*args, **kwargs).detach()


def _quotient(state: Propagation, func: Operation, left: Any, right: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A divisor is a scale, unless both are made of one tensor, as in an activation."""
    if not depends(right):
        return _scaled(func(left, right, *args, **kwargs), left, right)
    if not depends(left):
        state.refuse(f"{resolve_name(func)} by what depends on the text")
    if _origin(left) is _origin(right):
        return _passed(_origin(left), lambda: func(left, right, *args, **kwargs))
    return func(left, right.detach(), *args, **kwargs)


# ---- Activations of one number: its relevance passes unchanged (Bach et al. 2015, eq. 58; AttnLRP, section 3.1).


class _Passed(torch.autograd.Function):
    """A value as x times the constant `value / x`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, compute: Callable[[], Tensor]) -> Tensor:
        value, x = compute(), x.detach()
        ctx.save_for_backward((value / x).nan_to_num_(0, 0, 0))  # x = 0: there is nothing to hand on
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (factor,) = ctx.saved_tensors
        return gradients[0] * factor, None


def _passed(origin: Tensor, compute: Callable[[], Tensor]) -> Tensor:
    return _made_of(_Passed.apply(origin, compute), origin)


def activation(state: Propagation, func: Operation, input: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A function of every number by itself."""
    if any(depends(value) for value in (*args, *kwargs.values())):
        state.refuse(f"{resolve_name(func)} of two tensors")
    if not depends(input):
        return func(input, *args, **kwargs)

    def compute() -> Tensor:
        constant = input.detach()  # inside an activation's module the rules hold, and are not asked again
        before = version(constant)
        value = func(constant, *args, **kwargs)
        if version(constant) != before:
            state.refuse(f"{resolve_name(func) or 'an activation'} in place")
        return value.clone() if value is constant else value

    return _passed(_origin(input), compute)


def _power(state: Propagation, func: Operation, base: Any, exponent: Any, *args: Any, **kwargs: Any) -> Tensor:
    """An inverse root is the scale of a normalisation; any other power is an activation."""
    if not isinstance(exponent, Tensor) and exponent == -0.5:
        return _inverse_root(state, func, base, exponent, *args, **kwargs)
    if depends(exponent):
        state.refuse(f"{resolve_name(func)} with an exponent that depends on the text")
    return activation(state, func, base, exponent, *args, **kwargs)


# An activation that is written out, such as x * 0.5 * (1 + erf(x / sqrt 2)), is one step too: what is made of a single
# tensor, number by number, remembers it, and where two such factors meet their product passes its relevance there.


def _origin(x: Tensor) -> Tensor:
    """The tensor that x was made of, number by number; x itself if that is not known, or was changed since."""
    origin, *versions = getattr(x, "_attnflow_origin", (x,))
    return origin if versions in ([], [version(origin), version(x)]) else x


def _made_of(result: Tensor, origin: Tensor) -> Tensor:
    if result is not origin and result.shape == origin.shape:
        result._attnflow_origin = (origin, version(origin), version(result))  # pyright: ignore[reportAttributeAccessIssue]  # any tensor takes it
    return result


def _scaled(result: Tensor, *operands: Any) -> Tensor:
    """The result of an operation with constants; at most one operand depends on the text."""
    for operand in operands:
        if depends(operand):
            return _made_of(result, _origin(operand))
    return result


def _dropout(
    state: Propagation, func: Operation, input: Tensor, p: float = 0.5, training: bool = True, *args: Any, **kwargs: Any
) -> Tensor:
    """Of a model in evaluation nothing is dropped, and most of them ask for it in every layer."""
    return _same(state, func, input, p, training, *args, **kwargs) if training else input


def _same(state: Propagation, func: Operation, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The same numbers, or their negatives, in another place or precision."""
    return _scaled(func(input, *args, **kwargs), input)


# ---- Products of two quantities that depend on the text: half of the relevance to each (AttnLRP, proposition 3.3).


def _halved(result: Tensor, left: Any, right: Any) -> Tensor:
    """A product with half the gradient, and so half to each of its factors, if both depend on the text."""
    if depends(left, right):
        result.register_hook(lambda gradient: 0.5 * gradient)
    return result


def _half(x: Tensor) -> Tensor:
    """The same value with half the gradient."""
    same = x.view_as(x)
    same.register_hook(lambda gradient: 0.5 * gradient)
    return same


def _matrix_product(state: Propagation, func: Operation, left: Any, right: Any, *args: Any, **kwargs: Any) -> Tensor:
    return _halved(func(left, right, *args, **kwargs), left, right)


def _product(state: Propagation, func: Operation, left: Any, right: Any, *args: Any, **kwargs: Any) -> Tensor:
    if not depends(left, right):
        return _scaled(func(left, right, *args, **kwargs), left, right)
    if _origin(left) is _origin(right):
        return _passed(_origin(left), lambda: func(left, right, *args, **kwargs))
    return _halved(func(left, right, *args, **kwargs), left, right)


def _einsum(state: Propagation, func: Operation, equation: Any, *operands: Any) -> Tensor:
    factors = list(operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands)
    places = [place for place, factor in enumerate(factors) if depends(factor)]
    if not isinstance(equation, str) or len(places) > 2:
        state.refuse(f"{resolve_name(func)} of more than two tensors")
    result = func(equation, *factors)
    return _halved(result, *(factors[place] for place in places)) if len(places) == 2 else result


# ---- Softmax: a constant (Ali et al. 2022, section 3.1), or to first order (AttnLRP, proposition 3.1).


def _softmax(state: Propagation, func: Operation, *args: Any, **kwargs: Any) -> Tensor:
    # With R_j = s_j g_j the rule x_i (R_i - s_i sum R) is x_i times the ordinary gradient.
    value = func(*args, **kwargs)
    return value.detach() if state.constant_attention else value


# ---- Changes in place. What is multiplied is computed beside, as half a gradient cannot be put on what is overwritten.


def _sum_in_place(state: Propagation, func: Operation, target: Tensor, other: Any, *args: Any, **kwargs: Any) -> Tensor:
    if depends(target) and is_parameter(other):
        other = _biased(state, other)
    return func(target, other, *args, **kwargs)


def _beside(rule: Callable[..., Tensor], beside: Operation) -> Callable[..., Tensor]:
    def in_place(state: Propagation, func: Operation, target: Tensor, other: Any, *args: Any, **kwargs: Any) -> Tensor:
        if not depends(other):
            return func(target, other, *args, **kwargs)
        return target.copy_(rule(state, beside, target.clone(), other, *args, **kwargs))

    return in_place


def _activation_in_place(beside: Operation) -> Callable[..., Tensor]:
    def in_place(state: Propagation, func: Operation, target: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not depends(target):
            return func(target, *args, **kwargs)
        return target.copy_(activation(state, beside, target.clone(), *args, **kwargs))

    return in_place


RULES: dict[Operation, Callable[..., Any]] = {
    **dict.fromkeys((F.linear, F.conv1d), _linear),
    **dict.fromkeys((torch.addmm, Tensor.addmm, torch.baddbmm, Tensor.baddbmm), _fused),
    **dict.fromkeys((torch.addbmm, Tensor.addbmm), _fused),
    F.layer_norm: _layer_norm,
    F.rms_norm: _rms_norm,
    F.dropout: _dropout,
    **dict.fromkeys((torch.rsqrt, Tensor.rsqrt), _inverse_root),
    **dict.fromkeys((torch.pow, Tensor.pow, Tensor.__pow__), _power),
    **dict.fromkeys((F.softmax, torch.softmax, Tensor.softmax), _softmax),
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__), _matrix_product),
    **dict.fromkeys((torch.bmm, Tensor.bmm, torch.mm, Tensor.mm), _matrix_product),
    torch.einsum: _einsum,
    **dict.fromkeys(
        (torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, torch.multiply, Tensor.multiply), _product
    ),
    **dict.fromkeys((torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__), _sum),
    **dict.fromkeys((torch.sub, Tensor.sub, Tensor.__sub__, Tensor.__rsub__, torch.rsub), _sum),
    **dict.fromkeys((torch.div, Tensor.div, Tensor.__truediv__), _quotient),
    **dict.fromkeys((F.gelu, F.relu, torch.relu, Tensor.relu, F.silu, F.mish, F.elu, F.leaky_relu), activation),
    **dict.fromkeys((F.relu6, F.hardtanh, F.hardswish, F.softplus, torch.tanh, Tensor.tanh, F.tanh), activation),
    **dict.fromkeys((F.prelu, torch.sigmoid, Tensor.sigmoid, F.sigmoid, torch.erf, Tensor.erf), activation),
    **dict.fromkeys((torch.sqrt, Tensor.sqrt, torch.square, Tensor.square), activation),
    **dict.fromkeys((torch.clamp, Tensor.clamp), activation),
    **dict.fromkeys((torch.neg, Tensor.neg, Tensor.__neg__, Tensor.to, Tensor.type), _same),
    **dict.fromkeys((Tensor.float, Tensor.double, Tensor.half, Tensor.bfloat16), _same),
    **dict.fromkeys((Tensor.type_as, Tensor.contiguous, torch.clone, Tensor.clone), _same),
    **dict.fromkeys((Tensor.add_, Tensor.__iadd__, Tensor.sub_, Tensor.__isub__), _sum_in_place),
    **dict.fromkeys((Tensor.mul_, Tensor.__imul__), _beside(_product, torch.mul)),
    **dict.fromkeys((Tensor.div_, Tensor.__itruediv__), _beside(_quotient, torch.div)),
    Tensor.clamp_: _activation_in_place(torch.clamp),
}
"""Operations with a rule."""

_VIEWS = (
    "broadcast_to",
    "expand",
    "expand_as",
    "flatten",
    "movedim",
    "narrow",
    "permute",
    "reshape",
    "select",
    "squeeze",
    "swapaxes",
)
_MORE_VIEWS = ("chunk", "split", "t", "tile", "transpose", "unbind", "unflatten", "unsqueeze", "view", "view_as")
_MOVES = ("flip", "gather", "index_select", "masked_fill", "masked_select", "repeat_interleave", "roll", "where")
_SUMS = ("cumsum", "mean", "sum")
_IN_PLACE = ("copy_", "masked_fill_", "requires_grad_", "unsqueeze_", "squeeze_", "transpose_")
_OTHERS = ("repeat", "reshape_as", "cpu")

NAMED = ("input", "mat1", "batch1", "mat2", "batch2", "other", "exponent")
"""Operands that may be given by name, in the order in which they come by position."""

LINEAR: frozenset[Operation] = frozenset(
    [
        *(getattr(home, name) for name in (*_VIEWS, *_MORE_VIEWS, *_MOVES, *_SUMS) for home in (torch, Tensor)
          if hasattr(home, name)),
        *(getattr(Tensor, name) for name in (*_IN_PLACE, *_OTHERS)),
        *(torch.cat, torch.concat, torch.stack, torch.zeros_like, F.pad, F.avg_pool1d),
        *(Tensor.__getitem__, Tensor.__setitem__),
        *(getattr(Tensor, name).__get__ for name in ("T", "mT")),
    ]
)  # fmt: skip
"""Operations that are linear in all that may depend on the text taken together: gradient times input is LRP-0."""
