"""What saliency, faithfulness and a report answer: frozen records of arrays, which need no model to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.methods.saliency.method import Method
from attnflow.records.estimates import mean_relative_error, t_quantile
from attnflow.records.trace import Tokens
from attnflow.records.words import Unit


@dataclass(frozen=True)
class Saliency:
    """What each token has to do with a score, by one method."""

    method: Method
    tokens: Tokens
    values: NDArray[np.float64]
    """`[T]`: in units of the score for signed methods that promise a sum, otherwise the method's own."""
    target: str | None
    """Class or token whose score is explained; None of a model that has no score, by a method that needs none."""
    against: str | None
    """Class or token whose score is subtracted, if any."""
    total: float | None = None
    """What values, bias share and residual add up to; None if the method promises no sum."""
    bias_share: float = 0.0
    """The part of the total that biases take and no token gets."""
    notes: Mapping[str, str | float] = field(default_factory=dict)
    """How it was computed."""
    standard_error: NDArray[np.float64] | None = None
    """`[T]`: of values that are estimated from random probes, without bias; None of all others."""

    @property
    def relative_error(self) -> float:
        """Expected mean of `|estimate - exact| / exact` over the tokens; 0 if the values are not estimated."""
        return 0.0 if self.standard_error is None else mean_relative_error(self.values, self.standard_error)

    @property
    def residual(self) -> float | None:
        """What is missing of the promised sum. It is reported, never scaled away."""
        return None if self.total is None else self.total - self.bias_share - float(self.values.sum())


@dataclass(frozen=True)
class Faithfulness:
    """What the target's probability loses without, and with nothing but, the top words of each explanation.

    Axes: `M` explanations, `W` ways of removal (`WAYS`), `F` fractions, `S` random rankings.
    """

    names: tuple[str, ...]
    """`[M]`"""
    fractions: tuple[float, ...]
    """`[F]`"""
    comprehensiveness: NDArray[np.float64]
    """`[M, W, F]`: p(text) - p(text without the top words); large is good."""
    sufficiency: NDArray[np.float64]
    """`[M, W, F]`: p(text) - p(top words alone); small is good."""
    random_comprehensiveness: NDArray[np.float64]
    """`[S, W, F]`: the same for random rankings."""
    random_sufficiency: NDArray[np.float64]
    """`[S, W, F]`"""
    target: str
    unit: Literal["probability", "score"]
    whole: float
    """The probability (for a regression the score) with the whole text."""
    baseline: str
    """What stands in place of a removed token."""
    ranked: Unit
    """What was ranked and removed: words, or pieces."""

    @property
    def merit(self) -> NDArray[np.float64]:
        """`[M]`: comprehensiveness - sufficiency, mean over fractions and ways of removal; large is good.

        Related to AOPC, the area over the perturbation curve, as which ERASER (DeYoung et al. 2020) averages each of
        the two over the fractions by itself.
        """
        return (self.comprehensiveness - self.sufficiency).mean(axis=(1, 2))

    @property
    def random_merit(self) -> NDArray[np.float64]:
        """`[S]`: the same for random rankings."""
        return (self.random_comprehensiveness - self.random_sufficiency).mean(axis=(1, 2))

    @property
    def beats_random(self) -> NDArray[np.bool_]:
        """`[M]`: whether the merit is above what all but 5 % of random rankings reach."""
        return self.merit > self.random_bounds[1]

    @property
    def random_bounds(self) -> tuple[float, float]:
        """What 5 % of random rankings stay below, and 5 % exceed.

        These are the bounds for one more normal value after `S`, by Student's t with `S - 1` degrees.
        """
        chance = self.random_merit
        reach = t_quantile(0.95, len(chance) - 1) * chance.std(ddof=1) * np.sqrt(1 + 1 / len(chance))
        return float(chance.mean() - reach), float(chance.mean() + reach)


@dataclass(frozen=True)
class Report:
    """What all methods say about one score of one checkpoint on one text."""

    answers: tuple[Saliency, ...]
    """`[M]`"""
    faithfulness: Faithfulness | None
    """None if there is no score."""
    rank_correlation: NDArray[np.float64]
    """`[M, M]`: of every two methods over the words, see `rank_correlations`."""
    target: str | None
    against: str | None
    missing: str = ""
    """Why there is no score to explain, so that only methods that need none answered."""
    left_out: tuple[str, ...] = ()
    """Titles of methods that were not asked for."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why, by the titles of the methods that cannot be had of this architecture: a sentence each."""
    complete: bool = True
    """Whether all of it is known; more is still computed of one that is not."""
    position: int | None = None
    """The token whose prediction is explained; None where the score is one of the whole text, or there is none."""

    @property
    def verdict(self) -> str:
        """One line: which explanation stands up best on this input, and which does not beat random; empty too early."""
        if not self.complete:
            return ""
        refused = f" Not to be had of this model: {', '.join(self.refused)}." if self.refused else ""
        left_out = f" Too long for this text and checkpoint: {', '.join(self.left_out)}." if self.left_out else ""
        return self._measured + refused + left_out

    def absent(self, method: Method) -> str:
        """Why a method has no answer, as a sentence."""
        if method.title in self.refused:
            return self.refused[method.title]
        if method.title in self.left_out:
            return f"{method.title} would take too long for this text and checkpoint."
        if not self.complete:
            return f"{method.title} is still to come."
        return f"{method.title} needs a score to explain."

    @property
    def _measured(self) -> str:
        if self.faithfulness is None:
            return "There is no prediction whose change would tell which explanation to trust."
        measured = self.faithfulness
        title_of = {one.method.name: one.method.title for one in self.answers}
        titles = [title_of[name] for name in measured.names]
        best = int(np.argmax(measured.merit))
        lost = [title for title, beats in zip(titles, measured.beats_random, strict=True) if not beats]
        if np.ptp(np.concatenate((measured.merit, measured.random_merit))) == 0:
            return "Every ranking of this text's words does the same, so none can be told from another."
        if len(lost) == len(titles):
            return "On this input no explanation beats a random ranking of the words; trust none of them here."
        line = f"On this input {titles[best]} stands up best."
        return f"{line} No better than random: {', '.join(lost)}." if lost else f"{line} All beat a random ranking."


def on_scale(values: ArrayLike) -> NDArray[np.float64]:
    """Put values on a scale from -1 to 1 (or 0 to 1, if none is negative), for colours.

    Zero stays zero and signs stay; the largest magnitude becomes 1. If all are zero they stay so.

    Example:
        >>> on_scale([2.0, -4.0, 0.0]).tolist()
        [0.5, -1.0, 0.0]
    """
    array = np.asarray(values, np.float64)
    largest = np.abs(array).max(initial=0.0)
    return array / largest if largest > 0 else np.zeros_like(array)
