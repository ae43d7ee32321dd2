"""What may stand beside the best heads of two models: whether they differ beyond chance, and random weights."""

from __future__ import annotations

from dataclasses import dataclass

from attnflow.stats.compared_dependencies import LEVEL, ComparedRelation, DependencyComparison
from attnflow.stats.dependencies import ALL, LEAST, DependencyResult, Found
from attnflow.views.grammar import GrammarDifference
from attnflow.views.payloads import SIDES, Side

RANDOM_TOLD = (
    "Random weights: the best head of the same architecture before any training, held out likewise, as the light tick "
    "of the bar; what it finds, the shape of the model and the places of words give away."
)


@dataclass(frozen=True, eq=False)
class Beside:
    """What was asked for."""

    compared: DependencyComparison | None = None
    random: tuple[DependencyResult, ...] = ()
    """Of A and B with random weights; empty if not asked for."""

    def difference(self, relation: str) -> ComparedRelation | None:
        """How two models differ in a relation; None if it has too few cases."""
        rows = () if self.compared is None else self.compared.relations
        return next((one for one in rows if one.relation == relation), None)

    def control(self, side: Side, relation: str) -> Found | None:
        """The best head with random weights; None where it has no case."""
        if not self.random:
            return None
        found = self.random[SIDES.index(side)]
        return found.best(relation) if found.n.get(relation) else None

    @property
    def notes(self) -> list[str]:
        """What the columns are, in a sentence or two each."""
        told = [] if self.compared is None else [_told(self.compared)]
        return [*told, *([RANDOM_TOLD] if self.random else [])]


NOTHING = Beside()


def difference(of: ComparedRelation | None) -> GrammarDifference | None:
    """What a row tells of it."""
    return None if of is None else {"points": round(100 * of.difference, 2), "p": of.p_corrected, "differs": of.differs}


def p_told(p: float) -> str:
    """A p-value in words.

    >>> p_told(0.0123), p_told(0.00001)
    ('p = 0.012', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _told(compared: DependencyComparison) -> str:
    """Whether two models differ, and how that is known."""
    single = [one for one in compared.relations if one.relation != ALL]
    different = [one for one in single if one.differs]
    named = ", ".join(one.relation for one in different[:6]) + (" …" if len(different) > 6 else "")
    over_all = next((one for one in compared.relations if one.relation == ALL), None)
    pooled = ""
    if over_all is not None:
        more = "more" if over_all.difference > 0 else "fewer"
        pooled = (
            f" Over all words A finds {abs(100 * over_all.difference):.1f} points {more} than B "
            f"({p_told(over_all.p_corrected)})."
            if over_all.differs
            else " Over all words they do not differ beyond chance."
        )
    return (
        f"A and B differ in {len(different)} of {len(single)} relations with at least {LEAST} cases"
        f"{f': {named}' if named else ''}.{pooled} A − B is the difference in points on words that both read, each by "
        "its head that is best on the other half of the sentences; p, by McNemar's test with Holm's correction for the "
        f"number of relations, is how likely such a difference is by chance; n.s.: not below {LEVEL}."
    )
