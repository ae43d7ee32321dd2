"""Few values: what their spread tells of the true one, and bounds by Student's t."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow.methods.saliency.methods.contribution import standard_error
from attnflow.records.estimates import c4, mean_relative_error, share_bounds, t_quantile


@pytest.mark.parametrize("n", [2, 3, 4, 8, 16])
def test_c4_is_the_mean_of_an_estimated_standard_deviation(n):
    values = np.random.default_rng(n).normal(0, 3, (100_000, n))
    assert values.std(axis=1, ddof=1).mean() / 3 == pytest.approx(c4(n), rel=0.01)


@pytest.mark.parametrize(
    ("degrees", "at_95", "at_975"),  # Abramowitz and Stegun, table 26.10
    [
        (1, 6.314, 12.706),
        (2, 2.920, 4.303),
        (3, 2.353, 3.182),
        (4, 2.132, 2.776),
        (15, 1.753, 2.131),
        (30, 1.697, 2.042),
    ],
)
def test_quantiles_of_t_are_those_of_the_table(degrees, at_95, at_975):
    assert t_quantile(0.95, degrees) == pytest.approx(at_95, abs=6e-4)
    assert t_quantile(0.975, degrees) == pytest.approx(at_975, abs=6e-4)


def test_bounds_of_shares_stay_between_0_and_1_and_widen_with_the_level():
    shares, error = np.array([0.0, 1e-6, 0.3, 0.999, 1.0]), np.array([0.0, 0.1, 0.05, 0.5, 0.0])
    low, high = share_bounds(shares, error, 2, 0.95)
    assert (low >= 0).all() and (high <= 1).all() and (low <= shares).all() and (shares <= high).all()
    assert low[0] == high[0] == 0 and low[-1] == high[-1] == 1
    narrow, wide = (share_bounds(shares, error, 16, level) for level in (0.5, 0.95))
    assert (wide[0] <= narrow[0]).all() and (narrow[1] <= wide[1]).all()
    assert mean_relative_error(np.zeros(3), np.zeros(3)) == 0


@pytest.mark.parametrize("probes", [4, 8, 16])
@pytest.mark.parametrize("rank", [16, 64])
def test_shares_by_common_probes_know_how_far_off_they_are(probes, rank):
    """`||v J||^2` of Jacobians of that rank, seen from the same directions `v` by all tokens."""
    rng = np.random.default_rng(rank)
    jacobians = rng.normal(size=(9, rank, 30)) * rng.uniform(0.2, 3, (9, 1, 1))  # [token, output, input]
    norms = np.linalg.norm(jacobians, axis=(1, 2))
    exact = norms / norms.sum()
    told, measured, inside = [], [], []
    for _ in range(500):
        directions = rng.normal(size=(probes, rank))
        squares = (np.einsum("po,toi->pti", directions, jacobians) ** 2).sum(-1)
        found = np.sqrt(squares.mean(0))
        found, error = found / found.sum(), standard_error(squares)
        told.append(mean_relative_error(found, error))
        measured.append((abs(found - exact) / exact).mean())
        low, high = share_bounds(found, error, probes, 0.95)
        inside.append((low <= exact) & (exact <= high))
    assert np.mean(told) == pytest.approx(np.mean(measured), rel=0.1)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)
