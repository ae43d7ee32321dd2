"""Slow, literal transcriptions of the probing classifiers, beside `reference.py`; in loops, and shared with nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import exp, log, tanh

import numpy as np

Scores = list[list[float | None]]
"""`[W][W + 1]` as `[dependent][governor]`, the root last; None for the word itself."""


def attention_scores(
    paid: list[np.ndarray], first: tuple | None, last: tuple | None, w: np.ndarray, u: np.ndarray, root: np.ndarray
) -> Scores:
    """Clark et al. 5: `sum_k w_k a_k(i, j) + u_k a_k(j, i)`; the root from the marks, as in their code.

    `paid[k][j, i]` is what word `j` pays word `i`; `first` and `last` are lists by head of what each word pays that
    mark, and of what that mark pays each word, or None where there is none.
    """
    size = len(paid[0])
    found: Scores = []
    for j in range(size):
        row: list[float | None] = []
        for i in range(size):
            row.append(None if i == j else sum(w[k] * a[j, i] + u[k] * a[i, j] for k, a in enumerate(paid)))
        if first is None and last is None:
            row.append(float(root[2]))
        else:
            total = 0.0
            for weight, mark in ((root[0], first), (root[1], last)):
                if mark is not None:
                    to, back = mark
                    total += weight * sum(w[k] * to[k][j] + u[k] * back[k][j] for k in range(len(paid)))
            row.append(total)
        found.append(row)
    return found


def words_scores(
    paid: list[np.ndarray],
    first: tuple | None,
    last: tuple | None,
    vectors: np.ndarray,
    w_governor: np.ndarray,
    w_dependent: np.ndarray,
    u_governor: np.ndarray,
    u_dependent: np.ndarray,
    w: np.ndarray,
    u: np.ndarray,
    root: np.ndarray,
) -> Scores:
    """The same with `W_k (v_i + v_j)` for `w_k` and `U_k (v_i + v_j)` for `u_k`, and the biases `w` and `u`."""
    found = attention_scores(paid, first, last, w, u, root)
    for j in range(len(found)):
        for i in range(len(found)):
            if i == j:
                continue
            score = 0.0
            for k, a in enumerate(paid):
                of_w = w[k] + w_governor[k] @ vectors[i] + w_dependent[k] @ vectors[j]
                of_u = u[k] + u_governor[k] @ vectors[i] + u_dependent[k] @ vectors[j]
                score += of_w * a[j, i] + of_u * a[i, j]
            found[j][i] = score
    return found


def distance_scores(
    vectors: np.ndarray,
    dependent: np.ndarray,
    governor: np.ndarray,
    distances: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray,
) -> Scores:
    """One hidden layer of tanh over both vectors and the distance features; of the root its indicator alone."""
    size = len(vectors)
    found: Scores = []
    for j in range(size):
        row: list[float | None] = []
        for i in range(size + 1):
            if i == j:
                row.append(None)
                continue
            features, hidden = [0.0] * 7, bias.copy()
            if i == size:
                features[6] = 1.0
            else:
                features[0], features[1] = max(i - j, 0) / size, max(j - i, 0) / size
                for place, offset in enumerate((-2, -1, 1, 2)):
                    features[2 + place] = float(i - j == offset)
                hidden = hidden + vectors[j] @ dependent + vectors[i] @ governor
            hidden = hidden + np.array(features) @ distances
            row.append(sum(weight * tanh(value) for weight, value in zip(out, hidden, strict=True)))
        found.append(row)
    return found


def probabilities(scores: Scores) -> np.ndarray:
    """`[W, W + 1]`: the softmax of each row; 0 for the word itself."""
    found = np.zeros((len(scores), len(scores) + 1))
    for j, row in enumerate(scores):
        top = max(score for score in row if score is not None)
        total = sum(exp(score - top) for score in row if score is not None)
        for i, score in enumerate(row):
            found[j, i] = 0.0 if score is None else exp(score - top) / total
    return found


def loss(scores: Scores, governor: list[int]) -> float:
    """The mean of `-log p(governor | word)`; -1 is the root, and words with -2 are left out."""
    found = probabilities(scores)
    told = [-log(found[j, i]) for j, i in enumerate(governor) if i >= -1]
    return sum(told) / len(told)


def gradient(of: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """The derivative of a number with respect to each entry, by central differences."""
    found = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        more, less = at.copy(), at.copy()
        more[place] += step
        less[place] -= step
        found[place] = (of(more) - of(less)) / (2 * step)
    return found


def attention_gradient_of_loss(paid: list[np.ndarray], scores: Scores, governor: list[int]) -> np.ndarray:
    """`[K, 2]`: what a word's probabilities exceed the truth by, times what is paid; between words alone."""
    p, found = probabilities(scores), np.zeros((len(paid), 2))
    told = [j for j, i in enumerate(governor) if i >= -1]
    for k, a in enumerate(paid):
        for j in told:
            for i in range(len(governor)):
                if i != j:
                    over = p[j, i] - (1.0 if governor[j] == i else 0.0)
                    found[k] += over * np.array([a[j, i], a[i, j]]) / len(told)
    return found


def best_tree(probability: np.ndarray) -> float:
    """The highest sum of log p of all trees with one root, by trying all."""
    size = len(probability)
    best = -np.inf
    for governors in product(range(-1, size), repeat=size):
        if governors.count(-1) != 1:
            continue
        reached = []
        for word in range(size):
            steps, at = 0, word
            while at != -1 and steps <= size:
                at, steps = governors[at], steps + 1
            reached.append(at == -1)
        if all(reached):
            best = max(best, sum(log(probability[word, governor]) for word, governor in enumerate(governors)))
    return best
