"""Private parts of transformers that loading relies on, each with what breaks if it changes."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers.modeling_utils import PreTrainedModel


def supports_attention_interface(model_class: type[nn.Module] | None) -> bool:
    """Whether the attention of a model is called through `AttentionInterface`, by its `_supports_attention_backend`.

    Without it every architecture that is not watched from outside would be refused.
    """
    return bool(getattr(model_class, "_supports_attention_backend", False))


def n_entries(model: PreTrainedModel) -> int:
    """How many entries of the vocabulary a model has an embedding of, by `num_embeddings` of its input embeddings.

    Without it no token could be told to be one of the model's.
    """
    embeddings: Any = model.get_input_embeddings()  # of whatever class, which torch does not say
    return embeddings.num_embeddings
