"""Runs a checkpoint on a sentence pair: text to encoding, encoding to trace."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow import limits
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import AttnflowError, CheckpointError, TextError, UnsupportedArchitectureError, brief
from attnflow.records.trace import SPECIAL, Encoding, Head, Tokens, Trace, check_heads
from attnflow.records.words import CONTINUES, display_entry, join_words, piece_span, word_of_piece, word_spans
from attnflow.runtime import attention_hook


def encode(checkpoint: Checkpoint, text_a: str, text_b: str | None = None) -> Encoding:
    """Tokenize a sentence pair.

    A tokenizer without a format for pairs (GPT-2's) would run the sentences together; between them is put its
    separator, else its end-of-text token, else a line break, and `Encoding.separator` tells which.

    Args:
        checkpoint: Whose tokenizer reads it.
        text_a: The first sentence.
        text_b: The second sentence; None or empty for a single one.

    Raises:
        TextError: If the first sentence is empty, or the pair is longer than `checkpoint.max_tokens`.
        CheckpointError: If the tokenizer fails.

    Example:
        >>> from attnflow import load_checkpoint
        >>> encode(load_checkpoint("demo/finetuned"), "Anna met Paul.").tokens.text
        ('[CLS]', 'Anna', 'met', 'Paul', '.', '[SEP]')
    """
    text_a, text_b = _checked_texts(text_a, text_b)
    made = checkpoint.tokenizer.pair(text_a, text_b, checkpoint.max_tokens)
    size, sentence = made.count, [SPECIAL if part is None else part for part in made.sentence]
    if size > checkpoint.max_tokens:
        raise TextError(
            f"This text is {size} tokens long for {checkpoint.name}; the limit is {checkpoint.max_tokens}. "
            f"Shorten it by about {size - checkpoint.max_tokens} tokens."
        )
    if 0 not in sentence:
        raise TextError(f"The tokenizer of {checkpoint.name} finds nothing in the first sentence; write a word in it.")
    tokens = _place(made.pieces, sentence, made.offsets, (text_a, text_b or ""))
    inputs = {name: np.asarray(values, np.int64) for name, values in made.inputs.items()}
    _check_vocabulary(checkpoint, inputs["input_ids"])
    return Encoding(text_a, text_b, tokens, inputs, made.separator)


def _checked_texts(text_a: str, text_b: str | None) -> tuple[str, str | None]:
    for name, text in (("first", text_a), ("second", text_b or "")):
        if not isinstance(text, str):
            raise TextError(f"The {name} sentence is a {type(text).__name__}; give a text.")
        if len(text) > limits.MAX_CHARACTERS:
            raise TextError(
                f"The {name} sentence has {len(text):,} characters; the limit is {limits.MAX_CHARACTERS:,}. Shorten it."
            )
        if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
            raise TextError(f"The {name} sentence holds half of a character (a lone surrogate); remove it.")
    if not text_a.strip():
        raise TextError("The first sentence is empty; write a sentence in it.")
    return text_a, text_b if text_b and text_b.strip() else None


def _check_vocabulary(checkpoint: Checkpoint, ids: NDArray[np.int64]) -> None:
    vocabulary = checkpoint.model.get_input_embeddings().num_embeddings
    if ids.max() >= vocabulary:
        raise UnsupportedArchitectureError(
            f"The tokenizer of {checkpoint.name} does not fit its weights: token {ids.max()} of {vocabulary}."
        )


def _place(pieces: list[str], sentence: list[int], offsets: list[tuple[int, int]], texts: tuple[str, str]) -> Tokens:
    """Find the characters and the word of every piece."""
    spans = [
        (0, 0) if part == SPECIAL else piece_span(texts[part], piece, span)
        for piece, part, span in zip(pieces, sentence, offsets, strict=True)
    ]
    words = [
        join_words(word_spans(text), [span for part, span in zip(sentence, spans, strict=True) if part == index])
        for index, text in enumerate(texts)
    ]
    text: list[str] = []
    number: dict[tuple[int, int], int] = {}  # of each word, in order of first appearance
    started: set[int] = set()
    word: list[int] = []
    for position, (piece, part, (start, end)) in enumerate(zip(pieces, sentence, spans, strict=True)):
        inside = part != SPECIAL and words[part]  # a special token is a word of its own
        place = (part, word_of_piece(words[part], (start, end)) if inside else position)
        word.append(number.setdefault(place, len(number)))
        if part != SPECIAL and start < end:
            text.append(CONTINUES * (word[-1] in started) + texts[part][start:end])
            started.add(word[-1])
        else:
            text.append(display_entry(piece))
    return Tokens(
        text=tuple(text),
        piece=tuple(pieces),
        sentence=np.asarray(sentence, np.int8),
        word=np.asarray(word, np.int32),
        span=np.asarray(spans, np.int32).reshape(-1, 2),
    )


def capture(checkpoint: Checkpoint, encoding: Encoding, *, pruned: Iterable[Head] = ()) -> Trace:
    """Run a checkpoint on an encoding and record what happens inside.

    Two threads may capture with one checkpoint at once, each with its own pruned heads; nothing is left changed.

    Args:
        checkpoint: The model to run.
        encoding: A pair encoded for this checkpoint.
        pruned: Heads `(layer, head)` whose output is multiplied by 0 before the output projection, which equals
            zeroing their columns of that projection.

    Returns:
        A trace whose arrays equal those of transformers' own eager attention.

    Raises:
        SelectionError: If a pruned head does not exist.
        UnsupportedArchitectureError: If the model does not run all its layers through the attention interface.
        CheckpointError: If the model cannot be run, or computes numbers that are not finite.
        TextError: If the trace would be larger than `limits.MAX_TRACE_BYTES`.
    """
    _check_trace(checkpoint, len(encoding.tokens))
    heads = check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads)
    gates = head_gates(checkpoint, heads)
    trained = checkpoint.head.classifies_texts
    # The head of a language model would cost much and tell nothing of what is recorded.
    model = checkpoint.model if trained else checkpoint.model.base_model
    try:
        with torch.inference_mode(), attention_hook.record(gates) as recording:
            output = model(**model_inputs(encoding), output_hidden_states=True)
    except AttnflowError:
        raise
    except Exception as error:  # an architecture that no test has run, or weights that do not fit together
        raise CheckpointError(f"{checkpoint.name} cannot be run on this text ({brief(error)}).") from error
    _check_recording(checkpoint, recording)
    check_finite(checkpoint, *output.hidden_states, *recording.attention, *recording.head_output)
    if trained:
        check_finite(checkpoint, output.logits)
    return Trace(
        tokens=encoding.tokens,
        attention=shared_array(torch.cat(recording.attention)),
        hidden=shared_array(torch.cat(output.hidden_states)),
        head_output=shared_array(torch.cat(recording.head_output)),
        root=root_position(checkpoint, encoding),
        scores=shared_array(output.logits[0]) if trained else None,
        probabilities=_probabilities(output.logits[0], checkpoint.head.problem) if trained else None,
        labels=checkpoint.head.labels if trained else (),
        pruned=heads,
    )


def check_finite(checkpoint: Checkpoint, *computed: torch.Tensor) -> None:
    """Refuse what a checkpoint computes if it holds NaN or infinity.

    Raises:
        CheckpointError: If it does.
    """
    if not all(torch.isfinite(tensor).all() for tensor in computed):
        raise CheckpointError(
            f"{checkpoint.name} computes numbers that are not finite, so its weights are damaged; choose another one."
        )


def trace_bytes(checkpoint: Checkpoint, size: int) -> int:
    """How many bytes a trace of so many tokens takes: attention `[L,H,T,T]`, hidden `[L+1,T,D]`, heads `[L,T,H,K]`.

    The last is told by the configuration, or as wide as the model; attention is by far the most of a long text.
    """
    config = checkpoint.model.config.get_text_config()
    wide = getattr(config, "head_dim", None) or getattr(config, "d_kv", None)
    outputs = checkpoint.n_heads * wide if isinstance(wide, int) else checkpoint.width
    of_layer = checkpoint.n_heads * size**2 + checkpoint.width * size + outputs * size
    return 4 * (checkpoint.n_layers * of_layer + checkpoint.width * size)


def _check_trace(checkpoint: Checkpoint, size: int) -> None:
    taken = trace_bytes(checkpoint, size)
    if taken > limits.MAX_TRACE_BYTES:
        fits = next(
            (fewer for fewer in range(size - 1, 1, -1) if trace_bytes(checkpoint, fewer) <= limits.MAX_TRACE_BYTES), 0
        )
        remedy = f"shorten the text to {fits} tokens" if fits else "choose a smaller model"
        raise TextError(
            f"{checkpoint.name} has {checkpoint.n_layers} layers of {checkpoint.n_heads} heads, and their attention on "
            f"{size} tokens takes {taken / 1e6:,.0f} MB; this machine takes at most "
            f"{limits.MAX_TRACE_BYTES / 1e6:,.0f} MB for one run. Please {remedy}."
        )


def head_gates(checkpoint: Checkpoint, pruned: frozenset[Head]) -> torch.Tensor | None:
    """`[L, H]`: 0 for pruned heads and 1 for all others; None if none is pruned."""
    if not pruned:
        return None
    gates = torch.ones(checkpoint.n_layers, checkpoint.n_heads)
    gates[tuple(zip(*pruned, strict=True))] = 0
    return gates


def root_position(checkpoint: Checkpoint, encoding: Encoding) -> int:
    """The token whose last embedding a task reads that scores the whole text.

    A causal classifier finds the end of the text by its padding, also where someone wrote a padding token.
    """
    if checkpoint.root == "first":
        return 0
    ids, padding = encoding.inputs["input_ids"], checkpoint.padding
    ends_anyway = checkpoint.model.config.model_type == "xlnet"  # with its <cls>
    if not checkpoint.head.classifies_texts or padding is None or ends_anyway:
        return len(ids) - 1
    written = np.flatnonzero(ids != padding)
    return int(written[-1]) if len(written) else 0


def model_inputs(encoding: Encoding, copies: int = 1) -> dict[str, torch.Tensor]:
    """What a model is called with for an encoding, `[copies, T]` each."""
    return {name: torch.from_numpy(values).expand(copies, -1) for name, values in encoding.inputs.items()}


def _check_recording(checkpoint: Checkpoint, recording: attention_hook.Recording) -> None:
    shapes = {tuple(layer.shape[1:]) for layer in recording.attention}
    heads = {shape[0] for shape in shapes}
    if len(recording.attention) != checkpoint.n_layers or heads != {checkpoint.n_heads} or len(shapes) != 1:
        raise UnsupportedArchitectureError(
            f"{checkpoint.name} cannot be analysed: of its {checkpoint.n_layers} layers with {checkpoint.n_heads} "
            f"heads {len(recording.attention)} used the attention interface. Choose another checkpoint."
        )


def shared_array(tensor: torch.Tensor) -> NDArray[np.float32]:
    """An array on the CPU that nobody can write to: results are shared between requests."""
    array = tensor.to(torch.float32).cpu().numpy()
    array.flags.writeable = False
    return array


def _probabilities(scores: torch.Tensor, problem: str) -> NDArray[np.float64] | None:
    if problem == "regression":
        return None
    scores = scores.double()
    return (scores.softmax(-1) if problem == "single_label" else scores.sigmoid()).cpu().numpy()
