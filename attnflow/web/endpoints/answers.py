"""What all answers share: which checkpoint answered, the tokens, the prediction."""

from __future__ import annotations

from typing import TypedDict

from attnflow.records.root import pooled_name
from attnflow.records.token_scores import AnswerEnds
from attnflow.records.trace import SPECIAL, Tokens
from attnflow.records.words import Unit
from attnflow.service.analyses.expected import EXPECTED, expects
from attnflow.service.case import Case, ModelCard
from attnflow.views.class_scores import class_scores
from attnflow.views.predicted import Predicted, rescored
from attnflow.views.predicted import predicted as predicted_of_trace


class ModelAnswer(TypedDict):
    """Which checkpoint answered."""

    ref: str
    sha: str
    architecture: str
    layers: int
    heads: int
    parameters: int
    task_head: str
    trained_classifier: bool
    encoder_alone: bool
    encoder_layers: int | None
    license: str | None
    notes: list[str]


class TokenAnswer(TypedDict):
    """One unit along a token axis."""

    text: str
    piece: str
    sentence: int | None
    word: int


class ClassAnswer(TypedDict):
    """One class of a prediction."""

    label: str
    score: float
    probability: float | None


def model_answer(card: ModelCard) -> ModelAnswer:
    """What tells the checkpoint that answered from every other."""
    return {
        "ref": card.ref,
        "sha": card.sha,
        "architecture": card.architecture,
        "layers": card.n_layers,
        "heads": card.n_heads,
        "parameters": card.n_parameters,
        "task_head": card.head.kind,
        "trained_classifier": card.head.classifies_texts,
        "encoder_alone": card.encoder_alone,
        "encoder_layers": card.stacks.n_encoder if card.stacks else None,
        "license": card.license,
        "notes": list(card.notes),
    }


def tokens_answer(tokens: Tokens) -> list[TokenAnswer]:
    """The units of a token axis."""
    return [
        {"text": text, "piece": piece, "sentence": sentence_number(part), "word": int(word)}
        for text, piece, part, word in zip(tokens.text, tokens.piece, tokens.sentence, tokens.word, strict=True)
    ]


def prediction(case: Case) -> list[ClassAnswer] | None:
    """Score and probability of every class, or None without a trained classification head."""
    return class_scores(case.trace)


def predicted(case: Case, unit: Unit = "piece") -> Predicted:
    """What a checkpoint predicts of a text, whatever its task; a language model runs once more for it."""
    expected = case.ask(EXPECTED) if expects(case) else None
    return predicted_of_trace(case.card.head, case.trace, case.encoding, expected, unit)


def before_and_after(whole: Case, case: Case) -> list[tuple[ClassAnswer, ClassAnswer]]:
    """Each class, or each of the likeliest answers, before and after heads were switched off.

    Of words only those that are among the likeliest both times.
    """
    before, after = predicted(whole), predicted(case)
    was, now = whole.trace.token_scores, case.trace.token_scores
    known = after.classes
    if isinstance(was, AnswerEnds) and isinstance(now, AnswerEnds):
        known = rescored(before, was.spans, now)
    later = {one["label"]: one for one in reversed(known)}  # of equal names the likelier
    return [({**one}, {**later[one["label"]]}) for one in before.classes if one["label"] in later]


def likely(case: Case) -> list[ClassAnswer] | None:
    """The classes of the text or of the token that is meant, or the likeliest words or answers; None without any."""
    return [{**one} for one in predicted(case).classes] or None


def case_note(case: Case, *more: str) -> str:
    """What a reader must know of a case: how its sentences were put into a chat, joined or cut, and what it reads."""
    separator = case.encoding.separator
    joined = {
        None: "",
        "": "This tokenizer has no format for pairs and nothing to separate sentences with; they follow each other.",
    }.get(separator, f"This tokenizer has no format for pairs; the sentences are joined by its {separator}.")
    one_kind = (
        "This tokenizer numbers the sentences, and the model has no embeddings for such numbers; it is given 0 for all."
        if case.encoding.one_kind
        else ""
    )
    lost = case.encoding.cut
    cut = f"The text was cut: {lost} of its {lost + case.n_tokens} tokens are left out at the end." if lost else ""
    told = [_chat_note(case), _stacks_note(case.card), cut, joined, one_kind, _reading_note(case)]
    return " ".join(filter(None, [*more, *told]))


def _chat_note(case: Case) -> str:
    """Says what the sentences are in a conversation."""
    if not case.encoding.chat:
        return ""
    answer = ", the second as the assistant's answer" if case.encoding.text_b else ""
    left_open = ", which is left open" if answer and case.card.head.kind == "causal-lm" else ""
    return f"Read in the checkpoint's chat template: the first sentence as the user's message{answer}{left_open}."


def _stacks_note(card: ModelCard) -> str:
    """Says what the layers and heads of an encoder-decoder are."""
    if card.stacks is None:
        return ""
    own, encoder, last = card.stacks.n_heads, card.stacks.n_encoder, card.n_layers
    if card.head.is_about_a_text:
        where = (
            "the score is read at the last token of the decoder, which is the root."
            if card.head.kind == "sequence-classification"
            else "whether an answer starts or ends at a word is read in the decoder, at the token before the word."
        )
        read = (
            "Its encoder reads the text (the source), and its decoder the same again, one token behind (the target); "
        ) + where
    else:
        read = (
            "The first sentence is the source, the second the target as far as it is written; the root is where its "
            "next token is predicted."
        )
    return (
        f"{read} Layers L1 to L{encoder} are the encoder's, L{encoder + 1} to L{last} the decoder's: "
        f"heads H1 to H{own} attend to the target there, H{own + 1} to H{2 * own} to the source, which passes as it is."
    )


def _reading_note(case: Case) -> str:
    """Says where a score reads several tokens, or where what it reads could not be found."""
    pooled = pooled_name(case.trace.root, pooling=case.trace.pooling)
    read = f"Its score reads the last embeddings of several tokens ({pooled}): all of them are the root."
    return " ".join(filter(None, [read if pooled else "", case.card.reading.note]))


_OF_TOKENS = {
    "token-classification": "Each token has a class of its own; click one to start from it and to explain its class.",
    "question-answering": "It finds the answer to the first sentence in the second; click an end to start from it.",
    "causal-lm": "It predicts the next token; click a token to see what is expected after it.",
    "seq2seq-lm": "An encoder-decoder: it predicts the next token of a target, and no class.",
    "masked-lm": "No classification head: it predicts masked words. Write {mask} in place of one to have it predicted.",
}


def prediction_note(card: ModelCard) -> str:
    """Why there is no prediction, or what its numbers are."""
    if card.encoder_alone:
        return "The encoder alone of an encoder-decoder: it makes embeddings and predicts nothing by itself."
    if card.head.reason:
        return card.head.reason
    if card.head.trained and card.head.kind != "sequence-classification":
        return _OF_TOKENS[card.head.kind].format(mask=card.mask_token or "its mask")
    if card.head.kind != "sequence-classification":
        return "No classification head: this checkpoint was not trained to classify, so it predicts no class."
    if not card.head.trained:
        return "No classification head: the file lacks its weights, and a fresh one would predict at random."
    if card.head.problem == "regression":
        return "A single score, not a probability."
    if card.head.problem == "multi_label":
        return "Each class is decided by itself; probabilities need not sum to 1."
    return ""


def pruned_answer(case: Case) -> list[list[int]]:
    """The heads that were switched off."""
    return [list(head) for head in sorted(case.trace.pruned)]


def sentence_number(part: int) -> int | None:
    """0 or 1, or None for a special token."""
    return None if part == SPECIAL else int(part)
