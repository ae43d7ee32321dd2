"""Gives modules of a freshly loaded model a subclass that asks the current context what is to be done."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from torch import nn

_ONE_AT_A_TIME = threading.Lock()
"""Held while a module is given methods: one that several models share may be prepared by two threads at once."""


def specialise(module: nn.Module, behaviour: type) -> None:
    """Put the methods of a class before those of a module's own class.

    Done once, at load: while a model serves, nothing on it is changed. A copy of the module keeps its methods bound to
    itself, as it would not if its `forward` were replaced, and a pickled one has them again in another process.
    A module that several models share, such as the activation of the first GPT, is given them once.
    """
    with _ONE_AT_A_TIME:
        if not isinstance(module, behaviour):
            module.__class__ = _joined(behaviour, type(module))


@cache
def _joined(behaviour: type, module_class: type[nn.Module]) -> type[nn.Module]:
    members = {
        "__module__": module_class.__module__,
        "__reduce_ex__": _reduce,
        "_joined_from": (behaviour, module_class),
    }
    return type(module_class.__name__, (behaviour, module_class), members)


def _reduce(module: nn.Module, protocol: Any) -> tuple[Any, ...]:
    """How a module is pickled whose class was made here: as the classes that it was made of, which have names."""
    behaviours, plain = [], type(module)
    while "_joined_from" in vars(plain):
        behaviour, plain = vars(plain)["_joined_from"]
        behaviours.append(behaviour)
    return _made_again, (plain, tuple(reversed(behaviours))), module.__getstate__()


def _made_again(plain: type[nn.Module], behaviours: tuple[type, ...]) -> nn.Module:
    """A module without its state."""
    joined = plain
    for behaviour in behaviours:
        joined = _joined(behaviour, joined)
    return joined.__new__(joined)
