"""What a checkpoint was trained to do: the kind of its task head, and the classes it tells apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

HeadKind = Literal[
    "sequence-classification",
    "masked-lm",
    "causal-lm",
    "token-classification",
    "question-answering",
    "seq2seq-lm",
    "none",
]
Problem = Literal["single_label", "multi_label", "regression"]
_KIND_BY_SUFFIX: dict[str, HeadKind] = {
    "ForSequenceClassification": "sequence-classification",
    "ForMaskedLM": "masked-lm",
    "ForPreTraining": "masked-lm",
    "T5WithLMHeadModel": "seq2seq-lm",
    "LMHeadModel": "causal-lm",
    "ForCausalLM": "causal-lm",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForQuestionAnsweringSimple": "question-answering",
    "ForConditionalGeneration": "seq2seq-lm",
    "MTModel": "seq2seq-lm",
}


@dataclass(frozen=True)
class TaskHead:
    """What sits on top of the Transformer in the file, and whether it can be believed."""

    kind: HeadKind
    trained: bool
    """False if there is no head, or the file lacks weights of it: then there is no prediction."""
    labels: tuple[str, ...] = ()
    """Names of the classes of a trained head that classifies the text or its tokens; of one that answers questions the
    two ends of an answer."""
    problem: Problem = "single_label"
    reason: str = ""
    """Why there is no prediction although the file names a task, as a sentence; empty where nothing is to be said."""

    @property
    def classifies_texts(self) -> bool:
        """Whether it has been trained to score the whole text."""
        return self.trained and self.kind == "sequence-classification"

    @property
    def is_about_a_text(self) -> bool:
        """Whether its task is about a given text, which the decoder of an encoder-decoder reads again."""
        return self.kind in ("sequence-classification", "question-answering")

    @property
    def scores_tokens(self) -> bool:
        """Whether it has been trained to give each token a few scores of its own: of classes, or of being an end."""
        return self.trained and self.kind in ("token-classification", "question-answering")

    @property
    def predicts_next(self) -> bool:
        """Whether it has been trained to predict the token after each, of a text or of a target."""
        return self.trained and self.kind in ("causal-lm", "seq2seq-lm")

    @property
    def reads_one_token(self) -> bool:
        """Whether each token has a prediction of its own, so that it can be said which one is meant."""
        return self.trained and self.kind not in ("sequence-classification", "none")


def class_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes, with their numbers where a name alone would not tell which is meant.

    That is so if several have one name, or if a name is the number of another class.

    Example:
        >>> class_names(["yes", "no", "yes"])
        ('yes (class 0)', 'no', 'yes (class 2)')
        >>> class_names(["1", "2"])
        ('1 (class 0)', '2 (class 1)')
    """
    folded = [name.strip().casefold() for name in names]
    taken = {str(number) for number in range(len(names))}
    mixed = any(name in taken and name != str(number) for number, name in enumerate(folded))
    return tuple(
        with_number(name, number) if folded.count(key) > 1 or (mixed and key.isdecimal()) else name
        for number, (name, key) in enumerate(zip(names, folded, strict=True))
    )


def named_classes(id2label: Mapping[int, object], label2id: Mapping[str, int] | None) -> tuple[tuple[str, ...], str]:
    """Names of all classes of a head, and what a reader must know of them, as a sentence, if anything.

    A class without a name, or with an empty one, is called by its number. If names have numbers that are none of a
    class's, as where they count from 1, nobody can tell whose they are, and all go by their numbers.

    Args:
        id2label: As a configuration has it: as many entries as there are classes.
        label2id: What it says the other way round, if it does.
    """
    numbers, given = range(len(id2label)), label2id or {}
    if set(id2label) != set(numbers):
        told = ", ".join(str(number) for number in list(id2label)[:6])
        return tuple(map(str, numbers)), (
            f"config.json names the classes {told} (id2label), and the head has 0 to {len(numbers) - 1}, so they are "
            "told by their numbers."
        )
    names = ["" if id2label[number] is None else str(id2label[number]) for number in numbers]
    odd = [name for name, number in given.items() if number in numbers and name in names and id2label[number] != name]
    note = (
        "config.json numbers the classes in label2id otherwise than in id2label, which is followed; which of them the "
        "head was trained with cannot be told."
    )
    return class_names([name if name.strip() else str(number) for number, name in enumerate(names)]), note * bool(odd)


def with_number(name: str, number: int) -> str:
    """The name of a class that its number must tell from others."""
    return f"{name} (class {number})"


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
