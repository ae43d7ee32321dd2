"""Private parts of transformers that loading relies on, each with what breaks if it changes."""

from __future__ import annotations

from torch import nn


def supports_attention_interface(model_class: type[nn.Module] | None) -> bool:
    """Whether the attention of a model is called through `AttentionInterface`, by its `_supports_attention_backend`.

    Without it every architecture that is not watched from outside would be refused.
    """
    return bool(getattr(model_class, "_supports_attention_backend", False))
