"""Rotary positions whose frequencies change with the length of a text, without a change of the model.

transformers writes them into the module as it runs, where the next text, or another thread, finds what this one left;
and what is differentiated by forward mode may not write into anything that it did not make.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from attnflow.runtime.specialise import specialise


class _Unchanged(nn.Module):
    """A module that runs as a copy of itself, which is forgotten."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        twin = object.__new__(type(self))
        buffers = {name: None if buffer is None else buffer.clone() for name, buffer in self._buffers.items()}
        vars(twin).update(vars(self), _buffers=buffers)
        return super(_Unchanged, twin).forward(*args, **kwargs)


def install(model: nn.Module) -> None:
    """Keep the rotary positions of a freshly loaded model as they are, whichever texts it reads."""
    for module in model.modules():
        kind = getattr(module, "rope_type", None)
        kinds = kind.values() if isinstance(kind, dict) else [kind]
        if any(isinstance(one, str) and (one == "longrope" or "dynamic" in one) for one in kinds):
            specialise(module, _Unchanged)


def changes_with_length(model: nn.Module) -> bool:
    """Whether it has such positions, by which a short text is read otherwise beside a long one, or as its beginning."""
    return any(isinstance(module, _Unchanged) for module in model.modules())
