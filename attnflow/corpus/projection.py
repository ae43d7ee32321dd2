"""Lays many vectors out in the plane so that near ones stay near, and says how far that went well."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow import progress
from attnflow.corpus.layout_quality import layout_quality, neighbours_of
from attnflow.errors import SelectionError
from attnflow.extras import needed

Method = Literal["tsne", "pca", "umap"]
LARGE = 10_000
"""Above that many points openTSNE is faster than scikit-learn's t-SNE, and taken where it is installed."""
_COMPONENTS = 50
_PERPLEXITY = 30.0
_LEAST = 3


@dataclass(frozen=True)
class Projection:
    """`N` vectors in the plane. Only who is near whom means something: axes, directions and distances do not."""

    points: NDArray[np.float32]
    """`[N, 2]`"""
    method: Method
    trustworthiness: float
    """From 0 to 1: whether neighbours in the plane are neighbours in truth; NaN where all vectors are the same."""
    continuity: float
    """From 0 to 1: whether true neighbours are neighbours in the plane; NaN where all vectors are the same."""
    preserved: NDArray[np.float64]
    """`[N]`: the share of a point's true neighbours that are its neighbours in the plane."""
    neighbours: int
    """With how many neighbours all three were measured."""


def projection(
    values: ArrayLike, *, method: Method = "tsne", seed: int = 0, start: ArrayLike | None = None
) -> Projection:
    """Lay vectors out in the plane.

    `pca` takes the two directions of largest variance. `tsne` reduces them to 50 by PCA first, for speed and quality.
    With a seed all methods repeat. Vectors that are all the same lie on one point.

    Args:
        values: `[N, D]`, such as `Survey.hidden[layer]` or `Survey.behaviour`, without rows that are missing.
        method: `pca`, `tsne`, or `umap` where umap-learn is installed.
        seed: Of what is drawn at random.
        start: `[N, 2]`: a layout to start from, as that of the layer before: t-SNE then goes on without its early
            exaggeration; at the end the layout is turned, mirrored, moved and scaled as a whole to lie on it best.

    Raises:
        SelectionError: If there are fewer than 3 vectors, a number is missing, there is no such method, or what it
            needs is not installed.

    Reference:
        van der Maaten and Hinton 2008; Kobak and Berens 2019 on starting from PCA.

    Example:
        >>> corners = np.repeat(np.eye(4), 3, axis=0) + np.arange(12)[:, None] / 1000
        >>> projection(corners, method="pca").points.shape
        (12, 2)
    """
    vectors = _checked(values)
    if method not in get_args(Method):
        raise SelectionError(f"There is no projection {str(method)[:60]!r}; choose {', '.join(get_args(Method))}.")
    before = None if start is None else _checked_start(start, len(vectors))
    if np.ptp(vectors, axis=0).max() <= 1e-6 * abs(vectors).max():
        nowhere = np.zeros((len(vectors), 2), np.float32)
        return Projection(nowhere, method, np.nan, np.nan, np.full(len(vectors), np.nan), neighbours_of(len(vectors)))
    if before is not None and not np.ptp(before, axis=0).max():
        before = None  # of vectors that were all the same
    reduced = _principal(vectors, _COMPONENTS if method == "tsne" else 2, seed) if method != "umap" else vectors
    progress.go_on()
    if method == "pca":
        points = _plane(reduced)
    elif method == "umap":
        points = _umap(vectors, seed, before)
    else:
        points = _tsne(reduced, seed, before)
    progress.go_on()
    points = points if before is None else laid_on(points, before)
    quality = layout_quality(vectors, points, seed)
    return Projection(
        points.astype(np.float32),
        method,
        quality.trustworthiness,
        quality.continuity,
        quality.preserved,
        neighbours_of(len(vectors)),
    )


def project_layers(
    hidden: NDArray[np.floating],
    *,
    method: Method = "tsne",
    seed: int = 0,
    start: ArrayLike | Sequence[Projection] | None = None,
) -> list[Projection]:
    """Lay vectors out after each layer, each layout started from the one before, so that points move little.

    Args:
        hidden: `[L + 1, N, D]`, as of a survey, without rows that are missing.
        method: As in `projection`.
        seed: Likewise.
        start: `[N, 2]`, where the first layout starts; or the layouts of another model, each of which is where the same
            layer starts, counted from the last one.

    Raises:
        SelectionError: As `projection`.
    """
    stack = np.asarray(hidden)
    if stack.ndim != 3 or not len(stack):
        raise SelectionError(f"Vectors of layers have the shape {list(stack.shape)}; give [layer, text, width].")
    others = [one for one in start if isinstance(one, Projection)] if isinstance(start, Sequence) else []
    before: Any = None if others else start
    found: list[Projection] = []
    for layer, values in enumerate(stack):
        progress.tell("Laying out layers", layer / len(stack))
        if others:
            before = others[max(0, layer - len(stack) + len(others))].points
        found.append(projection(values, method=method, seed=seed, start=before))
        before = found[-1].points
    return found


def laid_on(points: NDArray[np.floating], onto: NDArray[np.floating]) -> NDArray[np.float64]:
    """A layout, moved, turned, perhaps mirrored and scaled as a whole to the extent of another one, to lie on it best.

    Args:
        points: `[N, 2]`
        onto: `[N, 2]`

    Reference:
        Schönemann 1966, the orthogonal Procrustes problem. The scale is that of the extents, not the one of least
        squares, which would draw unlike layouts together to a point.
    """
    own, other = (np.asarray(one, np.float64) - np.mean(one, 0, np.float64) for one in (points, onto))
    left, _, right = np.linalg.svd(own.T @ other)
    extent = np.linalg.norm(own)
    scale = np.linalg.norm(other) / extent if extent > 0 else 1.0
    return scale * own @ (left @ right) + np.mean(onto, 0, np.float64)


def _checked(values: ArrayLike) -> NDArray[np.float32]:
    try:
        vectors = np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise SelectionError("Vectors are [text, width], all of one width and of numbers.") from error
    if vectors.ndim != 2 or not vectors.shape[-1]:
        raise SelectionError(f"Vectors have the shape {list(vectors.shape)}; give [text, width].")
    if len(vectors) < _LEAST:
        raise SelectionError(f"There are {len(vectors)} texts; a projection needs at least {_LEAST}: choose more.")
    missing = int((~np.isfinite(vectors)).any(1).sum())
    if missing:
        raise SelectionError(
            f"{missing} of {len(vectors)} vectors hold numbers that are missing or infinite; leave these texts out."
        )
    return vectors


def _checked_start(start: ArrayLike, size: int) -> NDArray[np.float64]:
    layout = np.asarray(start, np.float64)
    if layout.shape != (size, 2) or not np.isfinite(layout).all():
        raise SelectionError(f"start has the shape {list(layout.shape)}; give finite numbers of the shape [{size}, 2].")
    return layout


def _principal(vectors: NDArray[np.float32], most: int, seed: int) -> NDArray[np.float32]:
    decomposition = needed("sklearn.decomposition", "scikit-learn")
    components = min(most, *vectors.shape)
    return decomposition.PCA(components, random_state=seed).fit_transform(vectors)


def _plane(reduced: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first two components; vectors of one number have no second."""
    return np.pad(reduced, ((0, 0), (0, max(0, 2 - reduced.shape[1]))))[:, :2]


def _tsne(reduced: NDArray[np.float32], seed: int, before: NDArray[np.float64] | None) -> NDArray[np.floating]:
    size = len(reduced)
    perplexity = max(1.0, min(_PERPLEXITY, (size - 1) / 3))
    if before is None:
        begin = _plane(reduced)
        begin = begin / begin[:, 0].std() * 1e-4  # as small as t-SNE begins, so that the forces can sort it
        begin = begin + np.random.default_rng(seed).normal(0, 1e-6, begin.shape)  # no two points in one place
    else:
        begin = before - before.mean(0)
    begin = begin.astype(np.float32)
    early = 12.0 if before is None else 1.0
    if size > LARGE and importlib.util.find_spec("openTSNE"):
        engine = needed("openTSNE", "openTSNE")
        more: dict[str, Any] = {} if before is None else {"early_exaggeration_iter": 0}
        fitted = engine.TSNE(perplexity=perplexity, initialization=begin, random_state=seed, n_jobs=1, **more)
        return np.asarray(fitted.fit(reduced))
    manifold = needed("sklearn.manifold", "scikit-learn")
    engine = manifold.TSNE(
        perplexity=perplexity, init=begin, early_exaggeration=early, random_state=seed, max_iter=1000, n_jobs=1
    )
    return engine.fit_transform(reduced)


def _umap(vectors: NDArray[np.float32], seed: int, before: NDArray[np.float64] | None) -> NDArray[np.floating]:
    if not importlib.util.find_spec("umap"):
        raise SelectionError(
            "UMAP is not installed; choose tsne or pca, or install it with pip install 'attnflow[umap]'."
        )
    near = min(15, len(vectors) - 1)
    begin = "spectral" if before is None and len(vectors) > 10 else "random" if before is None else before
    engine = needed("umap", "umap-learn").UMAP(n_neighbors=near, init=begin, random_state=seed, n_jobs=1)
    return engine.fit_transform(vectors)
