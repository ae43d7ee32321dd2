"""What can be asked: each analysis of a case, described once for page, endpoints, command line and documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from attnflow.service.case import Case

T = TypeVar("T")


@dataclass(frozen=True)
class Parameter:
    """One choice that an analysis leaves to whoever asks."""

    name: str
    kind: Any
    """Its type, as an annotation: `float`, `int | None`, `Literal[…]`, `list[list[int]] | None`."""
    default: Any
    says: str
    """What it is, in one sentence."""
    titles: Mapping[Any, str] = field(default_factory=dict[Any, str])
    """What the page calls each value that it offers, in the order in which it offers them."""

    @property
    def choices(self) -> list[tuple[str, Any]]:
        """The values that the page offers, as `(label, value)`."""
        return [(title, value) for value, title in self.titles.items()]


def _free(case: Case, **values: Any) -> float:
    return 0.0


@dataclass(frozen=True)
class Analysis(Generic[T]):
    """Something to compute of a case: a checkpoint, a text, and the heads that are switched off."""

    name: str
    """How programs call it."""
    says: str
    """What it tells, in one sentence, as help texts begin."""
    compute: Callable[..., T]
    """Called with the case and a value for each parameter; gives a frozen record. It refuses what it cannot do."""
    parameters: tuple[Parameter, ...] = ()
    """All that it depends on beside the case."""
    work: Callable[..., float] = _free
    """Called likewise: how many floating-point operations it takes, about and at most."""
    remedy: Callable[..., str] | None = None
    """Called with the case, the operations that are allowed, and the values: what to ask for instead of too much."""
    kept: bool = True
    """Whether a result is worth memory; not where it is quickly computed from the trace."""
    of_checkpoint: bool = False
    """Whether it is the same for every text of a checkpoint."""
    of_prediction: bool = False
    """Whether it depends on which token's prediction is meant; else it is computed once for all of them."""
    steps: Callable[..., Iterator[tuple[Mapping[str, Any], T]]] | None = None
    """Called as `compute`: gives coarser results on the way, each with the values that it is the result of."""

    def complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A value for each parameter: those given, and defaults for the rest.

        Raises:
            TypeError: If one is given that is no parameter: a fault of ours, not of a visitor.
        """
        known = {parameter.name: parameter.default for parameter in self.parameters}
        if not values.keys() <= known.keys():
            raise TypeError(f"{self.name} has no parameter {min(values.keys() - known.keys())}")
        return known | dict(values)

    def about(self, case: Case) -> Case:
        """What it is computed of: where it does not matter which token's prediction is meant, the usual one."""
        return case if self.of_prediction else case.at(None)

    def parameter(self, name: str) -> Parameter:
        """The parameter of this name."""
        return next(parameter for parameter in self.parameters if parameter.name == name)
