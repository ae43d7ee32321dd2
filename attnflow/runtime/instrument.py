"""Makes a freshly loaded model one that can be watched, gated, steered and explained."""

from __future__ import annotations

from transformers.modeling_utils import PreTrainedModel

from attnflow.checkpoints.architectures import architecture
from attnflow.runtime import activations, layers, watched_attention


def instrument(model: PreTrainedModel, n_layers: int) -> bool:
    """Give the parts of a model that nobody has run yet what `runtime` asks them for; its arithmetic stays the same.

    Returns:
        Whether a forward pass can begin at a later layer (`layers.steer`).
    """
    known = architecture(model.config.model_type)
    watched_attention.install(model, known.watched)
    activations.install(model)
    return not known.tokens_first and layers.install(model.base_model, n_layers)
