"""Rules of layer-wise relevance propagation, as changed backward rules of single operations while one call runs.

Each rule rewrites an operation so that its value stays the same and *gradient times input* becomes the relevance that
the rule assigns. One ordinary backward pass then propagates relevance through any architecture. A function mode of
torch applies the rules: it is seen only by the thread and the block that opened it, and no module is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnflow.runtime import activations

Attention = Literal["constant", "bilinear"]
"""How attention weights are treated: as constants, or as what they are, a factor that depends on the text."""


@contextmanager
def rules(attention: Attention) -> Iterator[Rules]:
    """Apply the rules to every operation of this block.

    Linear maps, residual sums, convolutions: LRP-0, which is what the gradient does already. Layer norm and RMS norm:
    the scale is a constant. Activations: relevance passes unchanged. Products of two quantities that both depend on
    the text: half to each. Attention weights: constants, or with `bilinear` the first-order rule for softmax and half
    of the relevance of a weighted sum to weights and values each.

    Args:
        attention: `constant` conserves relevance exactly, up to what biases take. `bilinear` does not quite.

    Returns:
        What has to be asked after the forward pass: the scale that all biases were multiplied with.

    Reference:
        Bach et al. 2015 (LRP-0); Ali et al. 2022 (constant attention weights and normalisation); Achtibat et al. 2024,
        "AttnLRP", eq. 8 and propositions 3.1, 3.3, 3.4. Departure: no stabilising epsilon, as nothing is divided.

    Raises:
        ValueError: If there is no such rule.
    """
    if attention not in get_args(Attention):
        raise ValueError(f"attention is {attention!r}; give one of {get_args(Attention)}")
    mode = Rules(constant_attention=attention == "constant")
    with activations.treated(_passed), mode:
        yield mode


class Rules(TorchFunctionMode):
    """The function mode; `bias_scale` is 1, and its gradient is the relevance that biases took."""

    def __init__(self, *, constant_attention: bool) -> None:
        super().__init__()
        self.constant_attention = constant_attention
        self.bias_scale = torch.ones((), device="cpu", requires_grad=True)  # a number, which fits every device

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        rule = _RULES.get(func)
        if rule is None:
            return func(*args, **(kwargs or {}))
        return rule(self, func, *args, **(kwargs or {}))


def _depends(*values: Any) -> bool:
    """Whether all values are tensors that depend on the text."""
    return all(isinstance(value, Tensor) and value.requires_grad for value in values)


def _is_parameter(x: Any) -> bool:
    """Whether a value is a parameter, or a view of one."""
    return isinstance(x, Tensor) and (isinstance(x, nn.Parameter) or isinstance(x._base, nn.Parameter))


def _half(x: Tensor) -> Tensor:
    """The same value with half the gradient."""
    return 0.5 * x + 0.5 * x.detach()


def _passed(x: Tensor, value: Tensor) -> Tensor:
    """`value`, as x times a constant: all its relevance goes to x."""
    value, constant = value.detach(), x.detach()
    factor = torch.where(constant == 0, 0, value / constant)
    return value + (x - constant) * factor


def _linear(mode: Rules, func: Any, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    output = func(input, weight)
    return output if bias is None else output + bias * mode.bias_scale


def _addmm(mode: Rules, func: Any, bias: Tensor, input: Tensor, weight: Tensor, **options: Any) -> Tensor:
    return func(bias * mode.bias_scale, input, weight, **options)


def _layer_norm(
    mode: Rules,
    func: Any,
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    over = tuple(range(-len(normalized_shape), 0))
    centred = input - input.mean(over, keepdim=True)
    output = centred * (centred.detach().square().mean(over, keepdim=True) + eps).rsqrt()
    output = output if weight is None else output * weight
    return output if bias is None else output + bias * mode.bias_scale


def _rms_norm(
    mode: Rules,
    func: Any,
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    over = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    output = input * (input.detach().square().mean(over, keepdim=True) + eps).rsqrt()
    return output if weight is None else output * weight


def _constant(mode: Rules, func: Any, *args: Any, **kwargs: Any) -> Tensor:
    return func(*args, **kwargs).detach()


def _power(mode: Rules, func: Any, base: Any, exponent: Any, *args: Any, **kwargs: Any) -> Tensor:
    """An inverse root is the scale of a normalisation; any other power is an activation."""
    value = func(base, exponent, *args, **kwargs)
    if not isinstance(exponent, Tensor) and exponent == -0.5:
        return value.detach()
    return _passed(base, value) if _depends(base) else value


def _activation(mode: Rules, func: Any, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    value = func(input, *args, **kwargs)
    return _passed(input, value) if _depends(input) else value


def _softmax(mode: Rules, func: Any, *args: Any, **kwargs: Any) -> Tensor:
    # With R_j = s_j g_j the rule x_i (R_i - s_i sum R) is x_i times the ordinary gradient.
    value = func(*args, **kwargs)
    return value.detach() if mode.constant_attention else value


def _product(mode: Rules, func: Any, left: Any, right: Any, *args: Any, **kwargs: Any) -> Tensor:
    if _depends(left, right):
        left, right = _half(left), _half(right)
    return func(left, right, *args, **kwargs)


def _sum(mode: Rules, func: Any, left: Any, right: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A parameter added to what depends on the text is a bias, as in the layer norm that DeBERTa writes out."""
    if _depends(left) and _is_parameter(right):
        right = right * mode.bias_scale
    elif _depends(right) and _is_parameter(left):
        left = left * mode.bias_scale
    return func(left, right, *args, **kwargs)


def _quotient(mode: Rules, func: Any, left: Any, right: Any, *args: Any, **kwargs: Any) -> Tensor:
    return func(left, right.detach() if _depends(left, right) else right, *args, **kwargs)


_RULES: dict[Any, Callable[..., Any]] = {
    F.linear: _linear,
    torch.addmm: _addmm,
    F.layer_norm: _layer_norm,
    F.rms_norm: _rms_norm,
    **dict.fromkeys((torch.rsqrt, Tensor.rsqrt), _constant),
    **dict.fromkeys((torch.pow, Tensor.pow, Tensor.__pow__), _power),
    **dict.fromkeys((F.softmax, torch.softmax, Tensor.softmax), _softmax),
    **dict.fromkeys((torch.matmul, torch.bmm, Tensor.matmul, Tensor.bmm, Tensor.__matmul__), _product),
    **dict.fromkeys((torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__), _product),
    **dict.fromkeys((torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__), _sum),
    **dict.fromkeys((torch.div, Tensor.div, Tensor.__truediv__), _quotient),
    **dict.fromkeys((F.gelu, F.relu, torch.relu, Tensor.relu, F.silu, F.mish, F.elu, F.leaky_relu), _activation),
    **dict.fromkeys((F.relu6, F.hardswish, F.softplus, torch.tanh, Tensor.tanh, F.tanh), _activation),
    **dict.fromkeys((torch.sigmoid, Tensor.sigmoid, F.sigmoid), _activation),
}
