"""Finds out by running a model whether its tokens see those that follow, whatever its class and settings say."""

from __future__ import annotations

import torch
from transformers.modeling_utils import PreTrainedModel

from attnflow.checkpoints.compat import n_entries
from attnflow.errors import AttnflowError


def sees_what_follows(model: PreTrainedModel) -> bool:
    """Whether the first token's last embedding changes with later tokens.

    All of them change, as attention may be limited to those nearby.

    A model that predicts the next word must not: `BertLMHeadModel`, for one, only does so if its configuration has
    `is_decoder`.

    Args:
        model: In evaluation mode.

    Returns:
        False also of a model that cannot be run on a few tokens, which whoever runs it is told then.
    """
    entries = n_entries(model)
    pair = torch.arange(8, device=model.device).expand(2, -1).clone() % entries
    pair[1, 1:] = (pair[1, 1:] + 1) % entries
    try:
        with torch.inference_mode():
            first = model.base_model(input_ids=pair, attention_mask=torch.ones_like(pair)).last_hidden_state[:, 0]
    except AttnflowError:  # such as that nobody waits for it any more
        raise
    except Exception:
        return False
    return not torch.allclose(first[0], first[1], rtol=1e-4, atol=1e-6, equal_nan=True)
