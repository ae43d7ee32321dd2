"""What a checkpoint was trained to do: the kind of its task head, and the classes it tells apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HeadKind = Literal["sequence-classification", "masked-lm", "causal-lm", "token-classification", "none"]
Problem = Literal["single_label", "multi_label", "regression"]
_KIND_BY_SUFFIX: dict[str, HeadKind] = {
    "ForSequenceClassification": "sequence-classification",
    "ForMaskedLM": "masked-lm",
    "ForPreTraining": "masked-lm",
    "LMHeadModel": "causal-lm",
    "ForCausalLM": "causal-lm",
    "ForTokenClassification": "token-classification",
}


@dataclass(frozen=True)
class TaskHead:
    """What sits on top of the Transformer in the file, and whether it can be believed."""

    kind: HeadKind
    trained: bool
    """False if there is no head, or the file lacks weights of it: then there is no prediction."""
    labels: tuple[str, ...] = ()
    """Names of the classes of a trained head that classifies the text or its tokens."""
    problem: Problem = "single_label"

    @property
    def classifies_texts(self) -> bool:
        """Whether it has been trained to score the whole text."""
        return self.trained and self.kind == "sequence-classification"


def head_kind(architectures: list[str]) -> HeadKind:
    """The kind of task head, from the class names in a configuration.

    Example:
        >>> head_kind(["RobertaForMaskedLM"])
        'masked-lm'
    """
    for architecture in architectures:
        for suffix, kind in _KIND_BY_SUFFIX.items():
            if isinstance(architecture, str) and architecture.endswith(suffix):
                return kind
    return "none"
