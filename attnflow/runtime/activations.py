"""Activations that count as one step, however many operations they are made of, for whoever treats them as one.

Once, when a model is loaded, its activations are given a subclass whose forward asks the current context whether they
are to be treated otherwise. Without a treatment it runs the activation as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import nn

from attnflow.runtime.compat import BloomGelu
from attnflow.runtime.specialise import specialise

Treatment = Callable[[Callable[[torch.Tensor], torch.Tensor], torch.Tensor], torch.Tensor]
"""Given an activation and what enters it, returns what leaves it."""

_treatment: ContextVar[Treatment | None] = ContextVar("attnflow_activations", default=None)


@contextmanager
def treated(treatment: Treatment) -> Iterator[None]:
    """Treat every activation that depends on the text so, in this block and this thread alone."""
    token = _treatment.set(treatment)
    try:
        yield
    finally:
        _treatment.reset(token)


class _Activation(nn.Module):
    """An activation that follows the treatment of the current context."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        treatment = _treatment.get()
        if treatment is None or not input.requires_grad:
            return super().forward(input)
        return treatment(super().forward, input)


def install(model: nn.Module) -> None:
    """Let the activations of a freshly loaded model, such as GPT-2's sum of a tanh, count as one step each."""
    for module in model.modules():
        if type(module).__module__ == "transformers.activations" or isinstance(module, BloomGelu):
            specialise(module, _Activation)
