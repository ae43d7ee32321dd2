"""Runs a freshly read model once: whether sizes fit each other is often not known before."""

from __future__ import annotations

import torch
from transformers.modeling_utils import PreTrainedModel

from attnflow.checkpoints.compat import n_entries
from attnflow.errors import AttnflowError, UnsupportedArchitectureError, brief

_TOKENS = 3


def check_runs(model: PreTrainedModel, name: str) -> None:
    """Refuse a model that transformers makes but cannot run, such as one whose heads have sizes that contradict.

    Args:
        model: With its weights, on its device; of an encoder-decoder both stacks or the encoder alone.
        name: What the checkpoint is called, for errors.

    Raises:
        UnsupportedArchitectureError: With what transformers says.
    """
    ids = torch.arange(_TOKENS, device=model.device)[None] % n_entries(model)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder and "decoder" in dict(model.base_model.named_children()):
        inputs["decoder_input_ids"] = ids
    try:
        with torch.inference_mode():
            output = model.base_model(**inputs)
    except (AttnflowError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise UnsupportedArchitectureError(
            f"{name} cannot be analysed: transformers makes the {type(model).__name__} that its config.json describes "
            f"but cannot run it ({brief(error)}), as where sizes contradict each other. Choose another checkpoint."
        ) from error
    if "decoder_input_ids" not in inputs and getattr(output, "last_hidden_state", None) is None:
        raise UnsupportedArchitectureError(
            f"{name} cannot be analysed: transformers does not tell the body of its {type(model).__name__} from its "
            "head, so what leaves its layers cannot be seen. Choose another checkpoint."
        )
