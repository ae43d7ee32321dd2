"""Layer-wise relevance propagation as one ordinary backward pass, by rules that hold while a block runs.

A function mode of torch looks at every operation: it has a rule, or is linear, or does not touch what depends on the
text, or is refused. The mode is seen only by the thread and the block that opened it, and no module is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, get_args

from torch.overrides import TorchFunctionMode, resolve_name

from attnflow.methods.saliency.operations import LINEAR, NAMED, RULES, Propagation, activation, depends
from attnflow.runtime import activations

Attention = Literal["constant", "bilinear"]
"""How attention weights are treated: as constants, or as what they are, a factor that depends on the text."""


@contextmanager
def rules(attention: Attention, model: str = "this model") -> Iterator[Propagation]:
    """Apply the rules to every operation of this block.

    Linear maps, residual sums, convolutions: LRP-0, which is what the gradient does already. Layer norm and RMS norm:
    the scale is a constant. Activations: relevance passes unchanged. Products of two quantities that both depend on
    the text: half to each. Attention weights: constants, or with `bilinear` the first-order rule for softmax and half
    of the relevance of a weighted sum to weights and values each. Every rule stands in `operations`.

    Args:
        attention: `constant` conserves relevance exactly, up to what biases take. `bilinear` does not quite.
        model: What runs, for the sentence that refuses an operation.

    Returns:
        What has to be asked after the forward pass: the scale that all biases were multiplied with, and `check`.

    Reference:
        Bach et al. 2015 (LRP-0); Ali et al. 2022 (constant attention weights and normalisation); Achtibat et al. 2024,
        "AttnLRP", eq. 8 and propositions 3.1, 3.3, 3.4. Departure: no stabilising epsilon, as nothing is divided.

    Raises:
        ValueError: If there is no such rule.
        UnsupportedArchitectureError: From an operation on what depends on the text that is neither linear nor listed.
    """
    if attention not in get_args(Attention):
        raise ValueError(f"attention is {attention!r}; give one of {get_args(Attention)}")
    state = Propagation(attention == "constant", model)
    with activations.treated(partial(activation, state)), _Rules(state):
        yield state


class _Rules(TorchFunctionMode):
    def __init__(self, state: Propagation) -> None:
        super().__init__()
        self.state = state

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        rule = RULES.get(func)
        if rule is not None:
            named = [name for name in NAMED if name in kwargs] if kwargs else []
            return rule(self.state, func, *args, *(kwargs[name] for name in named), **_without(kwargs, named))
        result = func(*args, **kwargs)
        if func in LINEAR:
            return result
        several = isinstance(result, list | tuple)
        if any(map(depends, result)) if several else depends(result):
            self.state.refuse(resolve_name(func) or str(func))
        return result


def _without(kwargs: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name not in names} if names else kwargs
