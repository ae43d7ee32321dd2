"""Gives modules of a freshly loaded model a subclass that asks the current context what is to be done."""

from __future__ import annotations

from functools import cache

from torch import nn


def specialise(module: nn.Module, behaviour: type) -> None:
    """Put the methods of a class before those of a module's own class.

    Done once, at load: while a model serves, nothing on it is changed. A copy of the module keeps its methods bound to
    itself, as it would not if its `forward` were replaced. A module that has them already, as an activation that all
    models of an architecture share, is left as it is.
    """
    if not isinstance(module, behaviour):  # some activations are one object for all models
        module.__class__ = _joined(behaviour, type(module))


@cache
def _joined(behaviour: type, module_class: type[nn.Module]) -> type[nn.Module]:
    return type(module_class.__name__, (behaviour, module_class), {"__module__": module_class.__module__})
