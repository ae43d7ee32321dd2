"""The saliency methods: every module of this folder defines some as its `METHODS`, and nothing else lists them."""

from __future__ import annotations

import copyreg
import importlib
import pkgutil

from attnflow.methods.saliency.method import Method

METHODS: dict[str, Method] = {
    method.name: method
    for module in pkgutil.iter_modules(__path__)
    for method in importlib.import_module(f"{__name__}.{module.name}").METHODS
}
"""All methods by name, in the order of their modules."""


def _named(name: str) -> Method:
    return METHODS[name]


# Pickled as its name, so that results can be sent to another process: not all its functions are found by a name.
copyreg.pickle(Method, lambda method: (_named, (method.name,)))
