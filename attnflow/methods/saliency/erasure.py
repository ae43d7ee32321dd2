"""Faithfulness: whether the words that an explanation names are those that the prediction needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError
from attnflow.methods.saliency.ranked import by_unit, units_of
from attnflow.methods.saliency.results import Faithfulness, Saliency
from attnflow.methods.score_function import Question, Removal, ask
from attnflow.records.trace import Encoding, Head
from attnflow.records.words import Unit

FRACTIONS = (0.1, 0.2, 0.5)
"""Shares of the words that are removed or kept."""
WAYS: tuple[Removal, ...] = ("token", "attention")
RANKINGS = 8
"""Random ones, to compare with. The bounds hold 5 % at any number (Student's t); 16 would lower them from 2.0 to 1.8
standard deviations of a random merit, of 1.6 that infinitely many leave, for half as much time again."""


def passes(explanations: int) -> float:
    """About how many forward passes it takes: texts without tokens are half as long, on average over the fractions."""
    return 2 * len(FRACTIONS) * (1 + 0.5) * (explanations + RANKINGS)


def faithfulness(
    checkpoint: Checkpoint,
    encoding: Encoding,
    attribution: Saliency | ArrayLike | Mapping[str, Saliency | ArrayLike],
    *,
    target: str | int | None = None,
    position: int | None = None,
    baseline: str | None = None,
    pruned: Iterable[Head] = (),
    seed: int = 0,
    unit: Unit = "word",
) -> Faithfulness:
    """Remove, and keep, the top 10 to 50 % of the words of an explanation and see what becomes of the prediction.

    Special tokens stay in any case. The value of a word is the sum over its pieces, and the top words are those with
    the largest: of signed explanations those that speak for the target. Ties are broken by a fixed random order, not by
    position.

    Args:
        checkpoint: A checkpoint with a trained task head.
        encoding: A pair encoded for this checkpoint.
        attribution: Values `[T]`, a `Saliency`, or several of either by name; several cost less than one by one.
        target: As in `saliency`; what the checkpoint predicts if None.
        position: Token whose prediction is meant, for heads that predict one for each token.
        baseline: What stands in place of a removed token; as in `saliency`.
        pruned: Heads that are switched off.
        seed: Of the random rankings and the order of ties.
        unit: `word`, or `piece`: then each piece is ranked and removed by itself.

    Raises:
        SelectionError: If the values do not fit the text or are not finite, or there is no such target or unit.
        TextError: If the text holds special tokens only.

    Reference:
        DeYoung et al. 2020, "ERASER", section 4: comprehensiveness and sufficiency. Departures: of its bins those
        of 10, 20 and 50 %, because 1 and 5 % of a sentence pair are no word; a removed word is replaced or not
        attended to, instead of cut out, so that all others keep their positions.
    """
    question = ask(checkpoint, encoding, target, position=position, baseline=baseline, pruned=pruned)
    named = attribution if isinstance(attribution, Mapping) else {"attribution": attribution}
    return measure(question, {name: check_values(name, values, question) for name, values in named.items()}, seed, unit)


def measure(
    question: Question,
    values: Mapping[str, NDArray[np.float64]],
    seed: int = 0,
    unit: Unit = "word",
    at_random: int = RANKINGS,
) -> Faithfulness:
    """The same for checked values `[T]` of several explanations by name, beside so many random rankings."""
    rng = np.random.default_rng(seed)
    units = units_of(question.encoding.tokens, question.words, unit)
    size = units.max() + 1
    shuffled = rng.permutation(size)  # the order of ties
    rankings = [shuffled[np.argsort(-by_unit(one, units)[shuffled], kind="stable")] for one in values.values()]
    rankings += [rng.permutation(size) for _ in range(at_random)]
    removed = np.zeros((len(rankings), 2, len(FRACTIONS), len(units)), bool)
    nothing = np.zeros((1, len(units)), bool)
    for ranking, row in zip(rankings, removed, strict=True):
        for f, fraction in enumerate(FRACTIONS):
            top = int(np.ceil(round(fraction * size, 6)))
            row[0, f] = np.isin(units, ranking[:top])
            row[1, f] = np.isin(units, ranking[top:])
    given, m = _Probabilities(question), len(values)
    one_by_one = progress.taken(Faithfulness)  # together they are run in fewer batches
    whole = float(given.of(np.concatenate((nothing, _sets(removed[m:] if one_by_one else removed))))[0, 0])

    def measured(count: int) -> Faithfulness:
        """The first explanations, and the random rankings."""
        chosen = np.concatenate((removed[:count], removed[m:]))
        probabilities = given.of(_sets(chosen)).reshape(len(WAYS), *chosen.shape[:-1])
        lost = np.moveaxis(whole - probabilities, 0, 1)  # [N, W, 2, F]
        progress.tell(f"{count} of {m} explanations are tested", (count + at_random) / (m + at_random))
        return Faithfulness(
            names=tuple(values)[:count],
            fractions=FRACTIONS,
            comprehensiveness=lost[:count, :, 0],
            sufficiency=lost[:count, :, 1],
            random_comprehensiveness=lost[count:, :, 0],
            random_sufficiency=lost[count:, :, 1],
            target=question.explained.name,
            unit="score" if question.explained.problem == "regression" else "probability",
            whole=whole,
            baseline=question.baseline,
            ranked=unit,
        )

    for count in range(1, m) if one_by_one else ():
        progress.offer(measured(count))
    return measured(m)


def _sets(removed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`[N, T]` of any axes before the tokens."""
    return removed.reshape(-1, removed.shape[-1])


class _Probabilities:
    """The target's probability without tokens; equal sets of them are run once.

    Args:
        question: What is asked of which text.
    """

    def __init__(self, question: Question) -> None:
        self._question = question
        self._known: dict[bytes, NDArray[np.float64]] = {}

    def of(self, removed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """`[W, N]`, for sets `[N, T]` of removed tokens."""
        names = [one.tobytes() for one in removed]
        fresh = {name: place for place, name in enumerate(names) if name not in self._known}
        if fresh:
            sets = removed[list(fresh.values())]
            given = np.stack([self._question.scores(sets, way, probability=True) for way in WAYS])
            self._known.update(zip(fresh, given.T, strict=True))
        return np.stack([self._known[name] for name in names], axis=1)


def check_values(name: str, values: Saliency | ArrayLike, question: Question) -> NDArray[np.float64]:
    """Return the values `[T]` of an explanation.

    Raises:
        SelectionError: If they do not fit the text or are not finite.
    """
    try:
        array = np.asarray(values.values if isinstance(values, Saliency) else values, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (len(question.words),) or not np.isfinite(array).all():
        raise SelectionError(
            f"The explanation {name[:60]!r} is no list of {len(question.words)} finite numbers, one for each token of "
            "the text; give what saliency returned for this text."
        )
    return array
