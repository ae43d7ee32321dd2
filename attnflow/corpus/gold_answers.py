"""What is recorded of a training forward: for each text its logits and gold class, on the device, without waiting."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from attnflow.errors import SelectionError

Task = Literal["classes", "labels", "tokens", "next_tokens"]

_SUREST = -1e-7
"""The largest log-probability that is written: the logit of anything else would be minus infinity above it."""
_IGNORED = -100
"""The label of a token that no loss is of, as everywhere in transformers."""


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, without what distributes it, compiles it, or adds adapters to it."""
    inside: Any = model
    while inside is not None:
        model = inside
        inside = getattr(model, "module", None) or getattr(model, "_orig_mod", None)
    base: Any = getattr(model, "get_base_model", None)
    return base() if base is not None else model


def task_of(model: nn.Module, logits: Tensor, labels: Tensor) -> Task:
    """What a model was asked, by the shapes of its logits and labels.

    Raises:
        SelectionError: If it is nothing that has gold classes.
    """
    inner = unwrapped(model)
    shapes = f"logits {list(logits.shape)} and labels {list(labels.shape)} of {labels.dtype}"
    fractional = labels.is_floating_point()
    if logits.ndim == 2 and labels.ndim == 1 and not fractional and logits.shape[1] > 1:
        return "classes"
    regression = getattr(getattr(inner, "config", None), "problem_type", None) == "regression"
    if logits.ndim == 2 and logits.shape == labels.shape and fractional and logits.shape[1] > 1 and not regression:
        return "labels"
    if logits.ndim == 3 and labels.ndim == 2 and not fractional and logits.shape[:2] == labels.shape:
        kind, name = getattr(inner, "loss_type", None), type(inner).__name__
        both = bool(getattr(getattr(inner, "config", None), "is_encoder_decoder", False))
        ahead = kind in ("ForCausalLM", "ForConditionalGeneration") or name.endswith("LMHeadModel")
        return "next_tokens" if ahead and not both else "tokens"
    raise SelectionError(
        f"Training dynamics are of classes, and {type(inner).__name__} was trained with {shapes}, which is a "
        "regression or a task of another kind; record a classifier, a model of tokens, or a language model."
    )


def answers(task: Task, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits `[B, C]` and gold classes `[B]` of the texts of a batch.

    Of one class among several they are the model's own. Of several labels, of tokens and of words there is one
    probability of being right, `p = exp(mean log p)` over all gold answers of the text; it is told as two classes,
    right and wrong, with `log p` and `log(1 - p)`, of which a softmax makes `p` again. A text without a gold answer has
    NaN.
    """
    if task == "classes":
        return logits, labels
    if task == "labels":
        signed = torch.where(labels > 0.5, logits, -logits).float()
        return _right_or_wrong(logsigmoid(signed).mean(-1))
    if task == "next_tokens":
        logits, labels = logits[:, :-1], labels[:, 1:]
    asked = labels != _IGNORED
    means: list[Tensor] = []
    for row, label, where in zip(logits, labels, asked, strict=True):  # one text at a time: [T, C] may be large
        own = row.gather(-1, label.clamp(min=0)[:, None])[:, 0].float() - torch.logsumexp(row.float(), -1)
        means.append(torch.where(where, own, 0).sum() / where.sum())
    return _right_or_wrong(torch.stack(means))


def logits_of(output: Any, with_loss: bool) -> Tensor | None:
    """The logits among what a model gave; None if there are none."""
    if isinstance(output, dict):
        found = output.get("logits")
    elif isinstance(output, (tuple, list)):
        found = output[1] if with_loss and len(output) > 1 else output[0] if output else None
    else:
        found = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    return found if isinstance(found, Tensor) else None


def _right_or_wrong(log_p: Tensor) -> tuple[Tensor, Tensor]:
    log_p = log_p.clamp(max=_SUREST)
    return torch.stack([log_p, torch.log(-torch.expm1(log_p))], -1), torch.zeros(len(log_p), dtype=torch.long)
