"""Runs two models over the same treebank, and compares the heads that follow its relations."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnflow import progress as progress_module
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus.encoded_text import encoded
from attnflow.corpus.observed import between_words
from attnflow.corpus.survey import TooLong, check_asked
from attnflow.errors import SelectionError
from attnflow.records.texts import Text, Texts
from attnflow.records.trace import Encoding
from attnflow.records.trees import Sentence
from attnflow.runtime.batch import batches, capture_batch
from attnflow.runtime.load import load_checkpoint
from attnflow.runtime.memory import within_memory
from attnflow.stats.compared_dependencies import DependencyComparison, PairedHits, packed_hits, shared_cases
from attnflow.stats.text_maps import text_maps
from attnflow.stats.word_attention import Pooling

_AT_ONCE = 128
"""Sentences that both models read before the next are encoded."""


def compare_dependency_heads(
    checkpoint_a: Checkpoint | str | os.PathLike[str],
    checkpoint_b: Checkpoint | str | os.PathLike[str],
    texts: Texts | Sequence[Text],
    *,
    pooling: Pooling = "mean",
    subtypes: bool = True,
    too_long: TooLong = "cut",
    max_tokens: int | None = None,
    device: str = "auto",
    progress: progress_module.Listener | None = None,
) -> DependencyComparison:
    """Compare the heads of two models that follow the relations of a treebank best.

    For each relation, of each model and each half of the sentences, the head that is best on the other half answers;
    words that both models read are the cases. McNemar's exact test says how likely such a difference is if both models
    find governors equally often, and Holm's correction takes into account how many relations are looked at.

    Args:
        checkpoint_a: A checkpoint, or what `load_checkpoint` takes; also one with `random_weights`.
        checkpoint_b: Likewise.
        texts: A treebank, as `open_texts` gives it.
        pooling: What a word that is several tokens attends to: the `mean` of them, or what the `first` does.
        subtypes: Whether relations such as `nsubj:pass` are told by themselves; if not, they count as `nsubj`.
        too_long: What becomes of a sentence with more tokens than fit: it is cut, or it is left out.
        max_tokens: Most tokens of a sentence, where that is less than the models' own bounds.
        device: Where models run that are not loaded yet.
        progress: Is told what is going on and how much of it is done, from 0 to 1; what it raises ends the run.

    Raises:
        SelectionError: If there are no sentences with trees, an argument is out of range, no sentence can be read, or
            so few that one half of them has no case.
        CheckpointError: If a checkpoint cannot be loaded.
        UnsupportedArchitectureError: If one cannot be recorded.

    Example:
        >>> from attnflow import open_texts
        >>> found = compare_dependency_heads("demo/pretrained", "demo/finetuned", open_texts("demo/sentences", rows=40))
        >>> found["det"].n == found["det"].b.held_out.n, 0 <= found["det"].p <= found["det"].p_corrected <= 1
        (True, True)
    """
    check_asked(texts, too_long, _AT_ONCE, max_tokens)
    trees = [(text, text.tree) for text in texts if text.tree is not None]
    if not trees:
        raise SelectionError("No text has a dependency tree, which is what heads are compared by; open a treebank.")
    models = [
        one if isinstance(one, Checkpoint) else load_checkpoint(one, device=device)
        for one in (checkpoint_a, checkpoint_b)
    ]
    (heads_a, heads_b) = [(one.n_layers, one.n_heads) for one in models]
    paired, failed = PairedHits(heads_a, heads_b), dict[str, str]()
    with within_memory(" and ".join(one.name for one in models), "texts"), progress_module.reporting(progress):
        for first in range(0, len(trees), _AT_ONCE):
            what = f"Reading {len(trees):,} sentences with {models[0].name} and {models[1].name}"
            progress_module.tell(what, first / len(trees))
            _read(models, trees[first : first + _AT_ONCE], paired, failed, pooling, too_long, max_tokens)
    if not paired.n_sentences:
        raise SelectionError(
            f"None of {len(trees):,} sentences could be read; the first: {next(iter(failed.values()))}"
        )
    return paired.compared(subtypes=subtypes, failed=tuple(failed.items()))


def _read(
    models: Sequence[Checkpoint],
    trees: Sequence[tuple[Text, Sentence]],
    paired: PairedHits,
    failed: dict[str, str],
    pooling: Pooling,
    too_long: TooLong,
    max_tokens: int | None,
) -> None:
    """Add some sentences; one that either model cannot read is noted, and added for neither."""
    rows: list[tuple[Sentence, list[Encoding]]] = []
    names: list[str] = []
    for text, tree in trees:
        progress_module.go_on()
        found = [encoded(model, text, too_long, max_tokens) for model in models]
        wrong = next((one for one in found if isinstance(one, str)), None)
        if wrong is not None:
            failed[text.guid] = wrong
        else:
            rows.append((tree, [one for one in found if not isinstance(one, str)]))
            names.append(text.guid)
    there = [[_there(tree, one) for one in encodings] for tree, encodings in rows]
    cases = [shared_cases(tree.governor, *here) for (tree, _), here in zip(rows, there, strict=True)]
    hits: list[dict[int, NDArray[np.uint8]]] = []
    for side, model in enumerate(models):
        own: dict[int, NDArray[np.uint8]] = {}
        for numbers in batches(model, [encodings[side] for _, encodings in rows]):
            attention = capture_batch(model, [rows[number][1][side] for number in numbers]).attention
            for number, values in zip(numbers, attention.float().cpu().numpy(), strict=True):
                tree, encodings = rows[number]
                words, here = between_words(values, encodings[side], tree, pooling)
                try:
                    text_maps(words, None, "Attention between words")
                except SelectionError as error:
                    failed[names[number]] = f"{model.name}: {error}"
                else:
                    own[number] = packed_hits(words, here, tree.governor, cases[number][0])
        hits.append(own)
    for number, (tree, _) in enumerate(rows):
        if number in hits[0] and number in hits[1]:
            found, left_out = cases[number]
            paired.add(tree.governor, tree.relation, found, (hits[0][number], hits[1][number]), left_out)


def _there(tree: Sentence, encoding: Encoding) -> NDArray[np.bool_]:
    """`[W]`: which words have a token."""
    return np.isin(np.arange(len(tree)), tree.groups(encoding.tokens))
