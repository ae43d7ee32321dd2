"""Settings of a `config.json` that change what a model computes and that transformers does not follow.

Whoever reads such a file with transformers alone gets another model than its authors had, and no word about it. The
table was made by comparing what configurations declare, here and in transformers 4, with what the code of the models
reads; a test compares it with the code again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attnflow.checkpoints.plain_json import shown

ANY = "any model type"
"""Stands for every architecture that does not itself declare the setting."""


def _bart(*, before: bool, normalised: bool, static: bool) -> dict[str, tuple[Any, ...]]:
    """What one of BART's kin computes: layer norms before or after, of the embeddings, and positions by sines."""
    return {
        "normalize_before": (before, None),
        "add_final_layer_norm": (before, None),
        "normalize_embedding": (normalised, None),
        "static_position_embeddings": (static, None),
    }


FOLLOWED: dict[str, dict[str, tuple[Any, ...]]] = {
    ANY: {
        # BERT and its kin had relative positions until transformers 5; others have ALiBi or rotary ones by own code.
        "position_embedding_type": ("absolute", None),
        "alibi": (False, None),
        "use_alibi": (False, None),
        "alibi_starting_size": (None,),
        "feed_forward_type": ("original", None),
        # Blocks of another shape, which Nomic's and other published code reads under these names.
        "prenorm": (False, None),
        "parallel_block": (False, None),
        "use_rms_norm": (False, None),
        "rotary_emb_interleaved": (False, None),
        "rotary_emb_fraction": (1, None),
    },
    "mpt": {
        "logit_scale": (None,),
        "norm_type": ("low_precision_layernorm", "layernorm", None),
        "attn_config.alibi": (True, None),
        "attn_config.alibi_bias_max": (8, None),
        "attn_config.prefix_lm": (False, None),
        "attn_config.attn_uses_sequence_id": (False, None),
    },
    # Of one code for all of BART's kin in transformers 3, each of which has a class of its own now.
    "bart": _bart(before=False, normalised=True, static=False),
    "mbart": _bart(before=True, normalised=True, static=False),
    "marian": _bart(before=False, normalised=False, static=True),
    "pegasus": _bart(before=True, normalised=False, static=True),
    "deepseek_v2": {"norm_topk_prob": (False, None)},
    "gpt_oss": {"hidden_act": ("silu", None)},
    # Their masks look back whatever it says; only attention without a mask, which nobody can record, looks ahead.
    "gemma": {"use_bidirectional_attention": (False, None)},
    "gemma2": {"use_bidirectional_attention": (False, None)},
}
"""For a model type, by the name of a setting, the values that transformers computes; any other would be ignored."""


def ignored_setting(config: Mapping[str, Any], declared: Mapping[str, Any]) -> str | None:
    """Why a configuration means another model than transformers makes of it, or None.

    Args:
        config: As it was parsed.
        declared: The settings that the architecture's own class declares, which its code follows unless the table
            says otherwise.
    """
    kind = str(config.get("model_type"))
    followed = {key: values for key, values in FOLLOWED[ANY].items() if key not in declared} | FOLLOWED.get(kind, {})
    for key, values in followed.items():
        found: Any = config
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if found not in values:
            return (
                f"its config.json gives {key} as {shown(found)}, and transformers computes {kind} with "
                f"{shown(values[0])} alone"
            )
    return None
