"""Writes a sentence pair as a conversation, by a tokenizer's chat template, and finds the sentences in what is written.

A template is a program, in Jinja, that came with a checkpoint. transformers runs it in Jinja's sandbox; a stranger's is
run in the process of its tokenizer alone, where memory and time are bounded (`tokenizer_process`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, product, zip_longest

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from attnflow.errors import CheckpointError, brief

_LONGEST = 100_000
"""Characters that a template may write besides the sentences."""
_ROLES = ("user", "assistant")
_MARKS = ("attnflowfirstsentence", "attnflowsecondsentence")
"""What stands in for the sentences to find where they go: letters that no template writes by itself."""
_ADVICE = "do without the template, or choose another checkpoint."


@dataclass(frozen=True)
class Place:
    """Where a sentence stands in a conversation."""

    start: int
    """Of what is written of it, in the conversation."""
    end: int
    skipped: int
    """White space at the beginning of the sentence that the template does not write."""

    def part(self, start: int, end: int) -> tuple[int, int] | None:
        """The characters of the sentence among some of the conversation; None if there are none."""
        if not (max(start, self.start) < min(end, self.end) or self.start <= start == end < self.end):
            return None
        shift = self.start - self.skipped
        return max(start, self.start) - shift, min(end, self.end) - shift


@dataclass(frozen=True)
class Conversation:
    """What a model reads."""

    text: str
    places: tuple[Place, ...]
    """Of each sentence."""

    def find(self, start: int, end: int) -> tuple[int | None, tuple[int, int]]:
        """Sentence and characters of a piece; the template's own have no sentence.

        A piece that runs across the border of a sentence belongs to that.
        """
        for number, place in enumerate(self.places):
            if found := place.part(start, end):
                return number, found
        return None, (0, 0)


def converse(
    tokenizer: PreTrainedTokenizerBase, name: str, text_a: str, text_b: str | None, *, goes_on: bool
) -> Conversation:
    """Write a sentence pair as a conversation: the first is the user's message, the second the assistant's answer.

    Where the sentences stand is found with others in their place: what the template writes around those must be what it
    writes around these. So a sentence is never taken for a like one of the template's own.

    Args:
        tokenizer: That has a chat template.
        name: What the checkpoint is called, for errors.
        text_a: The first sentence.
        text_b: The second one, if there is one.
        goes_on: Whether a next token is to be predicted. Then the conversation ends where the assistant is to begin or,
            if there is a second sentence, right after that, so that the answer is not closed.

    Raises:
        CheckpointError: If the template fails or refuses, or does not write the sentences as they are, once each.
    """
    texts = (text_a,) if text_b is None else (text_a, text_b)
    around = _around(_render(tokenizer, name, _MARKS[: len(texts)], goes_on), name, len(texts))
    written = _render(tokenizer, name, texts, goes_on)
    for kept in product(*map(_trimmed, texts)):
        if written == "".join(chain.from_iterable(zip_longest(around, kept, fillvalue=""))):
            break
    else:
        raise CheckpointError(f"The chat template of {name} does not write this text as it is; {_ADVICE}")
    places, end = [], 0
    for before, text, part in zip(around, texts, kept, strict=False):
        start = end + len(before)
        end = start + len(part)
        places.append(Place(start, end, text.index(part)))
    return Conversation(written[:end] if goes_on and text_b is not None else written, tuple(places))


def _trimmed(text: str) -> list[str]:
    """A text as it is, and without white space on either side or both: many templates leave that out."""
    return list(dict.fromkeys((text, text.strip(), text.lstrip(), text.rstrip())))


def _around(written: str, name: str, count: int) -> list[str]:
    """What a template writes before, between and after the marks."""
    rest, around = written, []
    for mark in _MARKS[:count]:
        before, found, rest = rest.partition(mark)
        if not found:
            raise CheckpointError(f"The chat template of {name} does not write the sentences in their order; {_ADVICE}")
        around.append(before)
    around.append(rest)
    if any(mark in part for mark in _MARKS for part in around):
        raise CheckpointError(f"The chat template of {name} writes a sentence more than once; {_ADVICE}")
    return around


def _render(tokenizer: PreTrainedTokenizerBase, name: str, texts: tuple[str, ...], goes_on: bool) -> str:
    """What a template makes of the messages of user and assistant."""
    messages = [{"role": role, "content": text} for role, text in zip(_ROLES, texts, strict=False)]
    asks = goes_on and len(texts) == 1
    try:
        written = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks))
    except Exception as error:
        raise CheckpointError(
            f"The chat template of {name} cannot be applied to this text ({brief(error)}); {_ADVICE}"
        ) from error
    if len(written) > _LONGEST + sum(map(len, texts)):
        raise CheckpointError(
            f"The chat template of {name} writes {len(written):,} characters around this text, where at most "
            f"{_LONGEST:,} are read; {_ADVICE}"
        )
    return written
