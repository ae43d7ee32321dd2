"""The one shape of every statistic over many texts: arrays in, named sums kept, a frozen record out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from attnflow.errors import SelectionError
from attnflow.stats.text_maps import Lengths, text_maps


def running(dtype: DTypeLike = np.float64, *, by: str | None = None) -> Any:
    """A field that is a sum over texts; its axes are those of the first text, and may grow.

    Args:
        dtype: Of its array.
        by: The field that names what stands along its first axis, which is then added up by name; see `named`.
    """
    metadata = {"role": "sum", "dtype": np.dtype(dtype), "by": by}
    return field(init=False, default_factory=lambda: np.zeros((), dtype), metadata=metadata)


def named(most: int) -> Any:
    """A field of names, sorted: all that any text has had so far, and at most so many."""
    return field(init=False, default=(), metadata={"role": "names", "most": most})


def shared(unknown: Any) -> Any:
    """A field that all texts must agree in: a number or a name, `unknown` before the first text."""
    return field(init=False, default=unknown, metadata={"role": "shared"})


@dataclass(eq=False)
class Statistic(ABC):
    """One quantity over many texts: `update` with each text or batch, `merge` parts, and take the `result`.

    A subclass is a dataclass. What its constructor takes are its *parameters*; beside them it declares, with `running`
    and a docstring each, the *sums* over texts that the result is computed from, and it defines `update` and `result`.

    * `update(…) -> self` takes the arrays of one text, such as attention `[L, H, T, T]`, or of a batch: one more axis
      `N` in front of each, padded on the right, with `lengths=[N]`. What lies beyond a text's length is never read. A
      batch is the same as its texts one by one. Either all of it is added or, if something is wrong, nothing.
    * `merge(other) -> self` adds what another one with the same parameters has seen, in any order.
    * `result()` is a frozen record with arrays that cannot be written to, `n` (texts), and a standard error over texts
      beside every mean: tokens of one text are not independent, so they are not what is counted.
    * `state()` is a dictionary of plain arrays, which `np.savez` writes without pickle, and `from_state(arrays)` needs
      nothing else to go on from there. It does not grow with the number of texts, at most to their largest `T`.

    Every running quantity is a plain sum over texts, divided once, in `result`. For standard errors these are sums of
    squares, not Welford's running means: then merging is adding, zeros are neutral, and padding shorter texts with
    zeros is right. What this costs is the spread below 1e-8 of the mean, which float64 does not hold.
    """

    version: ClassVar[int] = 1
    """To be raised when the sums change their meaning, so that states of before are refused."""
    missing: ClassVar[str] = "No pair was added, so there is no result; add one with update first."
    """What is said if a result is asked for before the first text."""

    n: int = field(init=False, default=0, metadata={"role": "sum"})
    """Texts."""
    n_layers: int = shared(0)
    """`L`"""
    n_heads: int = shared(0)
    """`H`"""

    @abstractmethod
    def update(self, *observation: Any, **more: Any) -> Self:
        """Add what one text or one batch gave."""

    @abstractmethod
    def result(self) -> object:
        """What follows from all texts so far, as a frozen record.

        Raises:
            SelectionError: If there was none.
        """

    def merge(self, other: Self) -> Self:
        """Add what another statistic of the same kind has seen.

        Raises:
            SelectionError: If it is of another kind, has other parameters, or is of another model.
        """
        own = type(self).__name__
        if type(other) is not type(self):
            raise SelectionError(f"{type(other).__name__} cannot be merged into {own}; merge parts of one statistic.")
        for one in _fields(self, "parameter"):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            if mine != theirs:
                raise SelectionError(
                    f"One part is by {one.name} {mine!r}, the other by {theirs!r}; merge parts of one {one.name}."
                )
        if other.n:
            self._add(**{one.name: getattr(other, one.name) for one in _fields(self, "sum", "shared", "names")})
        return self

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that is kept, parameters included, as arrays that share no memory with it."""
        told = {"statistic": np.array(type(self).__name__), "version": np.array(self.version)}
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return told | {name: np.array("" if value is None else value) for name, value in values.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The statistic that such a state was taken of.

        Raises:
            SelectionError: If it is the state of another statistic, of another version of it, or not whole.
        """
        arrays = {name: np.asarray(state[name]) for name in state}
        kind, version = (arrays.pop(name, np.array("")) for name in ("statistic", "version"))
        if str(kind) != cls.__name__:
            raise SelectionError(
                f"The state is of {str(kind)[:60] or 'no statistic'}, not of {cls.__name__}; give what "
                f"{cls.__name__}.state() returned."
            )
        if str(version) != str(cls.version):
            raise SelectionError(
                f"The state is of version {str(version)[:20]} of {cls.__name__}, and this is version {cls.version}; "
                "compute it anew."
            )
        declared = {one.name: one for one in fields(cls)}
        wrong = set(arrays) ^ set(declared) or {
            name for name, array in arrays.items() if not _fits(array, declared[name])
        }
        if wrong:
            raise SelectionError(
                f"The state of {cls.__name__} is damaged at {', '.join(sorted(wrong))[:200]}; compute it anew."
            )
        values = {name: _plain(array, declared[name]) for name, array in arrays.items()}
        made = cls(**{one.name: values[one.name] for one in _fields(cls, "parameter")})
        for one in _fields(cls, "sum", "shared", "names"):
            setattr(made, one.name, values[one.name])
        return made

    def _texts(
        self, values: ArrayLike, lengths: Lengths | None, what: str = "Attention", *, rows_sum_to_1: bool = False
    ) -> list[NDArray[Any]]:
        """The maps `[L, H, T, T]` of every text, checked: views without padding."""
        maps = text_maps(values, lengths, what, rows_sum_to_1=rows_sum_to_1)
        if maps:
            self._check_shared(n_layers=maps[0].shape[0], n_heads=maps[0].shape[1])
        return maps

    def _add_text(self, text: NDArray[Any], **sums: Any) -> None:
        """Add one text, of which `text` is a map `[L, H, T, T]`."""
        self._add(n=1, n_layers=text.shape[0], n_heads=text.shape[1], **sums)

    def _add(self, **values: Any) -> None:
        """Add some texts: every sum over them, their number `n`, and all that is shared, by name."""
        found = {one.name: values[one.name] for one in _fields(self, "shared")}
        self._check_shared(**found)
        for name, value in found.items():
            setattr(self, name, value)
        for one in _fields(self, "names"):
            mine, theirs = getattr(self, one.name), values[one.name]
            both = tuple(sorted({*mine, *theirs}))
            if len(both) > one.metadata["most"]:
                raise SelectionError(
                    f"The texts have more than {one.metadata['most']:,} {one.name}, such as {both[0][:40]!r}; give "
                    "texts with fewer."
                )
            if mine == both == theirs:
                continue
            for summed in _fields(self, "sum"):
                if summed.metadata.get("by") == one.name:
                    setattr(self, summed.name, _by_name(getattr(self, summed.name), mine, both))
                    values[summed.name] = _by_name(np.asarray(values[summed.name]), theirs, both)
            setattr(self, one.name, both)
        for one in _fields(self, "sum"):
            before, more = getattr(self, one.name), values[one.name]
            setattr(self, one.name, before + more if one.name == "n" else self._sum(before, np.asarray(more)))

    def _sum(self, before: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
        """The sum of two arrays, the smaller taken as if filled up with zeros; written into the first if it fits."""
        sizes = [max(pair) for pair in zip(before.shape, more.shape, strict=True)] if before.ndim else more.shape
        if before.shape != tuple(sizes):
            grown = np.zeros(sizes, before.dtype)
            if before.ndim:
                grown[tuple(map(self._place, sizes, before.shape))] = before
            before = grown
        before[tuple(map(self._place, sizes, more.shape))] += more
        return before

    def _place(self, size: int, part: int) -> slice:
        """Where, along an axis of some size, the entries of a shorter text stand: at its beginning."""
        return slice(0, part)

    def _check_shared(self, **values: Any) -> None:
        if self.n and any(getattr(self, name) != value for name, value in values.items()):
            raise SelectionError(self._difference(values))

    def _difference(self, values: Mapping[str, Any]) -> str:
        """Say that what comes is of something else."""
        return (
            f"A model of {values['n_layers']} layers x {values['n_heads']} heads cannot be added to one of "
            f"{self.n_layers} x {self.n_heads}; add up texts of one checkpoint."
        )

    def _check_any(self) -> None:
        if not self.n:
            raise SelectionError(self.missing)


@dataclass(frozen=True)
class MeanResult:
    """A mean over texts. NumPy takes it as the array of the means."""

    mean: NDArray[np.float64]
    """`[L, H, …]`"""
    standard_error: NDArray[np.float64]
    """Of the same shape: over texts; NaN where fewer than two count."""
    n: int
    """Texts."""

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.mean, dtype, copy=copy)

    def __getitem__(self, place: Any) -> Any:
        return self.mean[place]


def standard_error(
    texts: ArrayLike,
    total: NDArray[np.floating],
    squared: NDArray[np.floating],
    count: ArrayLike | None = None,
    by_count: ArrayLike | None = None,
    count_squared: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Standard error over texts of a mean, `total / count`; NaN where fewer than two texts count.

    A text gives a value `x`: its own mean, so that texts weigh the same and the count of each is 1; or a sum of `c`
    numbers, so that each number weighs the same.

    Args:
        texts: How many texts gave a value.
        total: The sum over texts of `x`.
        squared: The sum of `x ** 2`.
        count: The sum of `c`; 1 for each text if None.
        by_count: The sum of `x * c`.
        count_squared: The sum of `c ** 2`.

    Reference:
        Cochran, *Sampling Techniques*, section 2.11, the error of a ratio: `sum (x - R c)^2 * n / (n - 1)`, over
        `(sum c)^2`, where `R` is the ratio. With counts of 1 it is the usual error of a mean.
    """
    texts = np.asarray(texts)
    if count is None or by_count is None or count_squared is None:
        count, by_count, count_squared = texts, total, texts
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = total / np.asarray(count)
        spread = squared - 2 * ratio * np.asarray(by_count) + ratio**2 * np.asarray(count_squared)
        found = np.sqrt(np.maximum(spread, 0) * texts / (texts - 1)) / np.asarray(count)
    return np.where(texts > 1, found, np.nan)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Close an array that nobody else holds to writing, and return it."""
    array.flags.writeable = False
    return array


def _fields(statistic: Statistic | type[Statistic], *roles: str) -> Iterator[Field[Any]]:
    return (one for one in fields(statistic) if one.metadata.get("role", "parameter") in roles)


def _by_name(array: NDArray[Any], names: Sequence[str], all_names: Sequence[str]) -> NDArray[Any]:
    """An array whose first axis is by some names, by all of them: 0 for those that it lacks."""
    if not array.ndim:  # nothing was added yet
        return array
    wider = np.zeros((len(all_names), *array.shape[1:]), array.dtype)
    wider[np.searchsorted(all_names, names)] = array
    return wider


def _dtype(declared: Field[Any]) -> np.dtype[Any] | None:
    """Of the array of a field that is `running`; None of any other."""
    return declared.metadata.get("dtype")


def _fits(array: NDArray[Any], declared: Field[Any]) -> bool:
    """Whether an array may be the state of a field."""
    if (dtype := _dtype(declared)) is not None:
        return array.dtype.kind in "iuf" and np.can_cast(array.dtype, dtype, "same_kind")
    if declared.metadata.get("role") == "names":
        return array.ndim == 1 and (array.dtype.kind == "U" or not array.size)
    return array.ndim == 0 and array.dtype.kind in "biufU"


def _plain(array: NDArray[Any], declared: Field[Any]) -> Any:
    """The value of a field that a state holds."""
    if (dtype := _dtype(declared)) is not None:
        return array.astype(dtype)
    if declared.metadata.get("role") == "names":
        return tuple(array.tolist())
    return None if array.item() == "" and declared.default is None else array.item()
