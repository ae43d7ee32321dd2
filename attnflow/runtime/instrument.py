"""Makes a freshly loaded model one that can be watched, gated, steered and explained."""

from __future__ import annotations

from transformers.modeling_utils import PreTrainedModel

from attnflow.checkpoints.architectures import architecture
from attnflow.records.stacks import Stacks
from attnflow.runtime import activations, layers, rotary, stacks, watched_attention


def instrument(model: PreTrainedModel, n_layers: int | Stacks) -> bool:
    """Give the parts of a model that nobody has run yet what `runtime` asks them for; its arithmetic stays the same.

    Args:
        model: The model.
        n_layers: How many layers it has; of an encoder-decoder that runs as one model, how its stacks are one.

    Returns:
        Whether a forward pass can begin at a later layer (`layers.steer`).
    """
    known = architecture(model.config.model_type)
    watched_attention.install(model, known.watched)
    activations.install(model)
    rotary.install(model)
    if isinstance(n_layers, Stacks):
        return stacks.install(model, n_layers)
    return not known.tokens_first and layers.install(model.base_model, n_layers, known.entered)
