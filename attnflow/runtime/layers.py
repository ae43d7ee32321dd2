"""Where the layers of a model are, and how a forward pass begins at one of them or changes what enters it.

Once, when a model is loaded, its layers are given a subclass whose forward asks the current context whether something
is to be done. Without a plan it runs the layer as it is; with one, only the thread that made the plan sees its effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.configuration_utils import PreTrainedConfig

from attnflow.runtime import attention_hook
from attnflow.runtime.compat import hidden_state_class
from attnflow.runtime.specialise import specialise

Enter = Callable[[int, torch.Tensor], torch.Tensor]
"""Given the index of a layer and what would enter it, `[B, T, D]`, returns what enters it instead."""
Leave = Callable[[int, torch.Tensor], None]
"""Given the index of a layer and what leaves it, `[B, T, D]`."""


class _Enough(Exception):
    """Ends a forward pass of which only the layers so far are wanted; never leaves `steer`."""


@dataclass
class _Plan:
    start: int
    hidden: torch.Tensor | None
    enter: Enter | None
    leave: Leave | None
    last: int | None
    layer: int = 0
    """Index of the layer that is called next; ALBERT calls one module as all its layers, so it is counted."""
    entered: bool = False
    """Whether what enters the first layer was put in before it already, where something else reads it, too."""

    def entering(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """What enters a layer in place of what would."""
        if layer == self.start and self.hidden is not None:
            hidden = self.hidden
        return self.enter(layer, hidden) if layer >= self.start and self.enter is not None else hidden


_plan: ContextVar[_Plan | None] = ContextVar("attnflow_plan", default=None)


@contextmanager
def steer(
    *,
    start: int = 0,
    hidden: torch.Tensor | None = None,
    enter: Enter | None = None,
    leave: Leave | None = None,
    last: int | None = None,
) -> Iterator[None]:
    """Change how the layers of the next forward pass in this context run; afterwards nothing is left behind.

    Args:
        start: The first layer that matters: those before it are skipped where their result can be foregone.
        hidden: What enters layer `start`, `[B, T, D]`, instead of what the layers before it gave. The model is to be
            called with inputs of the same `B` and `T`.
        enter: Called with each layer from `start` on and what is about to enter it.
        leave: Called with each layer from `start` on and what leaves it, before whatever the model does after its last.
        last: The layer that ends the block when it has run: what the model would compute after it is not run.
    """
    token = _plan.set(_Plan(start, hidden, enter, leave, last))
    try:
        yield
    except _Enough:
        pass
    finally:
        _plan.reset(token)


def kept_in(entering: list[torch.Tensor]) -> Enter:
    """For `steer`: what enters each layer is put into a list, and enters it as it is."""

    def keep(_: int, hidden: torch.Tensor) -> torch.Tensor:
        entering.append(hidden)
        return hidden

    return keep


def enter_layer(hidden: torch.Tensor, *, may_be_left_out: bool) -> tuple[torch.Tensor, bool]:
    """What enters the layer that is called next, and whether it is left out: by the plan of the current context.

    Args:
        hidden: `[B, T, D]`: what would enter it without a plan.
        may_be_left_out: Whether its result can be foregone.
    """
    plan = _plan.get()
    if plan is None:
        return hidden, False
    layer, plan.layer = plan.layer, plan.layer + 1
    if layer < plan.start and may_be_left_out:
        attention_hook.skip_layer()
        return hidden, True
    return hidden if layer == 0 and plan.entered else plan.entering(layer, hidden), False


class _Steered(nn.Module):
    """A layer that follows the plan of the current context."""

    returns_only_hidden: bool | None = None
    """Whether the layer returns nothing but what enters the next one; learnt when it first runs."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        plan = _plan.get()
        if plan is None:
            return super().forward(*args, **kwargs)
        layer = plan.layer
        (hidden, *others), by_name = (args, False) if args else ([kwargs.pop("hidden_states")], True)
        hidden, left_out = enter_layer(hidden, may_be_left_out=bool(self.returns_only_hidden))
        if left_out:
            return hidden
        if by_name:
            output = super().forward(hidden_states=hidden, **kwargs)
        else:
            output = super().forward(hidden, *others, **kwargs)
        if self.returns_only_hidden is None:
            self.returns_only_hidden = isinstance(output, torch.Tensor)
        if layer >= plan.start and plan.leave is not None:
            plan.leave(layer, output if isinstance(output, torch.Tensor) else output[0])
        if layer == plan.last:
            raise _Enough
        return output


class _Entered(nn.Module):
    """A stack of layers that reads what enters its first one again, further on: both see what the plan puts there."""

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        plan = _plan.get()
        if plan is not None and plan.start == 0:
            hidden_states, plan.entered = plan.entering(0, hidden_states), True
        return super().forward(hidden_states, *args, **kwargs)


def find_layers(model: nn.Module, n_layers: int) -> list[nn.Module]:
    """The modules that run as the layers of a model, in order; one for all of them where they share weights.

    They are those whose outputs transformers itself records as hidden states, else the list that has as many entries
    as the model has layers. Empty if there is no such list. In a model that reads pictures, too, only the part that
    reads text is searched.
    """
    model = _reads_text(model)
    for module in model.modules():
        layer_class = hidden_state_class(module)
        if layer_class is not None:
            return [layer for layer in module.modules() if isinstance(layer, layer_class)]
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == n_layers]
    return list(lists[0]) if lists else []


def _reads_text(model: nn.Module) -> nn.Module:
    """The part of a model that has the configuration of its text; the whole of one that reads nothing else."""
    config = getattr(model, "config", None)
    kind = type(config.get_text_config()) if isinstance(config, PreTrainedConfig) else None
    if kind is None or kind is type(config):
        return model
    return next((part for part in model.modules() if type(getattr(part, "config", None)) is kind), model)


def install(model: nn.Module, n_layers: int, entered: str | None = None) -> bool:
    """Let the layers of a freshly loaded model follow `steer`; False if they cannot be told.

    Args:
        model: The model.
        n_layers: How many it has.
        entered: The class of a module that is given what enters the first layer, and reads it elsewhere, too.
    """
    layers = find_layers(model, n_layers)
    for stack in (module for module in model.modules() if type(module).__name__ == entered):
        specialise(stack, _Entered)
    for layer in layers:
        specialise(layer, _Steered)
    return bool(layers)
