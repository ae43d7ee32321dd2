"""Layouts of many vectors: what they keep, against scikit-learn and the definition; chains over layers; bad input."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from attnflow import SelectionError, project_layers, projection
from attnflow.corpus import layout_quality as quality_module
from attnflow.corpus import projection as projection_module
from attnflow.corpus.layout_quality import layout_quality, neighbours_of
from attnflow.corpus.projection import laid_on
from tests import reference


def clouds(n=60, width=12, seed=0):
    """Three clouds of points that overlap a little."""
    draw = np.random.default_rng(seed)
    return (draw.normal(size=(n, width)) + 3 * np.eye(width)[np.arange(n) % 3]).astype(np.float32)


@pytest.mark.parametrize("n", [3, 4, 9, 40, 70])
def test_what_a_layout_keeps_is_that_of_scikit_learn_and_of_the_definition(n):
    from sklearn.manifold import trustworthiness

    values, k = clouds(n), neighbours_of(n)
    points = np.random.default_rng(1).normal(size=(n, 2)).astype(np.float32) + values[:, :2]
    found = layout_quality(values, points)
    assert found.trustworthiness == pytest.approx(trustworthiness(values, points, n_neighbors=k))
    assert found.continuity == pytest.approx(trustworthiness(points, values, n_neighbors=k))
    assert found.trustworthiness == pytest.approx(reference.trustworthiness(values, points, k))
    for row in range(n):
        near = [
            set(np.argsort([np.inf if other == row else np.linalg.norm(of[row] - of[other]) for other in range(n)])[:k])
            for of in (values, points)
        ]
        assert found.preserved[row] == pytest.approx(len(near[0] & near[1]) / k)


def test_of_many_points_a_sample_is_measured_against_all(monkeypatch):
    values = clouds(200)
    whole = layout_quality(values, values[:, :2])
    monkeypatch.setattr(quality_module, "SAMPLE", 50)
    monkeypatch.setattr(quality_module, "_ROWS", 64)
    sampled = layout_quality(values, values[:, :2], seed=3)
    assert sampled.trustworthiness != whole.trustworthiness
    assert sampled.trustworthiness == pytest.approx(whole.trustworthiness, abs=0.05)
    assert sampled.continuity == pytest.approx(whole.continuity, abs=0.05)
    np.testing.assert_array_equal(sampled.preserved, whole.preserved)
    assert layout_quality(values, values[:, :2], seed=4).trustworthiness != sampled.trustworthiness


def test_pca_takes_the_directions_of_largest_variance():
    values = clouds()
    found = projection(values, method="pca")
    centred = values - values.mean(0)
    expected = np.linalg.svd(centred, full_matrices=False)[2][:2] @ centred.T
    np.testing.assert_allclose(abs(found.points.T), abs(expected), atol=1e-4)
    assert found.neighbours == 15 and found.points.dtype == np.float32


def test_tsne_repeats_with_a_seed_keeps_clouds_together_and_is_better_than_pca():
    values = clouds(90, 60)
    one, again, other = (projection(values, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.points, again.points)
    assert not np.array_equal(one.points, other.points)
    assert one.method == "tsne" and one.points.shape == (90, 2) and len(one.preserved) == 90
    assert one.trustworthiness > projection(values, method="pca").trustworthiness
    assert one.preserved.mean() > 0.4


def test_a_layout_that_starts_from_another_moves_less_and_is_as_good():
    values = clouds(90)
    moved = values + np.random.default_rng(5).normal(size=values.shape).astype(np.float32) * 0.2
    first, cold = projection(values), projection(moved)
    warm = projection(moved, start=first.points)
    radius = np.linalg.norm(first.points - first.points.mean(0), axis=1).mean()
    jumps = [np.median(np.linalg.norm(one.points - first.points, axis=1)) / radius for one in (warm, cold)]
    assert jumps[0] < 0.5 * jumps[1]
    assert warm.trustworthiness > cold.trustworthiness - 0.03


def test_a_layout_is_laid_on_another_by_turning_mirroring_moving_and_scaling_alone():
    points = np.random.default_rng(0).normal(size=(20, 2))
    turned = 3 * points @ np.array([[0.6, 0.8], [0.8, -0.6]]) + [5, -2]
    np.testing.assert_allclose(laid_on(points, turned), turned, atol=1e-9)
    unlike = laid_on(points, np.random.default_rng(1).normal(size=(20, 2)))
    assert np.linalg.norm(unlike - unlike.mean(0)) > 1  # not drawn together to a point


def test_layers_are_laid_out_one_from_the_other_and_a_second_model_from_the_first():
    values = clouds(50)
    hidden = np.stack([np.ones_like(values), values, values + 0.01]).astype(np.float16)
    found = project_layers(hidden)
    assert not found[0].points.any() and np.isnan(found[0].trustworthiness) and np.isnan(found[0].preserved).all()
    np.testing.assert_array_equal(found[2].points, projection(hidden[2], start=found[1].points).points)
    other = project_layers(hidden[1:], start=found)
    np.testing.assert_array_equal(other[1].points, projection(hidden[2], start=found[2].points).points)
    onto = project_layers(hidden[1:2], method="pca", start=found[1].points)[0]
    np.testing.assert_allclose(onto.points.mean(0), found[1].points.mean(0), atol=1e-3)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_hard_vectors_are_laid_out(method):
    cases = {
        "three": clouds(3),
        "duplicates": np.repeat(clouds(4), 5, axis=0),
        "one number": clouds(20, 3)[:, :1],
        "two values": np.repeat([[0.0, 1.0], [1.0, 0.0]], 10, axis=0),
        "half precision": clouds(20).astype(np.float16),
        "large": clouds(20) * 1e4,
    }
    for name, values in cases.items():
        found = projection(values, method=method)
        assert np.isfinite(found.points).all() and found.points.shape == (len(values), 2), name
        assert 0 <= found.trustworthiness <= 1 and 0 <= found.continuity <= 1, name
        assert ((found.preserved >= 0) & (found.preserved <= 1)).all(), name


@pytest.mark.parametrize(
    ("values", "more", "message"),
    [
        (np.zeros((2, 5)), {}, "There are 2 texts; a projection needs at least 3"),
        (
            np.full((5, 2), np.nan),
            {},
            "5 of 5 vectors hold numbers that are missing or infinite; leave these texts out",
        ),
        (np.zeros(5), {}, r"Vectors have the shape \[5\]; give \[text, width\]"),
        (np.zeros((5, 0)), {}, r"the shape \[5, 0\]"),
        ([["a", "b"]], {}, "all of one width and of numbers"),
        (np.eye(5), {"method": "mds"}, "There is no projection 'mds'; choose tsne, pca, umap"),
        (
            np.eye(5),
            {"start": np.zeros((4, 2))},
            r"start has the shape \[4, 2\]; give finite numbers of the shape \[5, 2\]",
        ),
    ],
)
def test_what_cannot_be_laid_out_is_told(values, more, message):
    with pytest.raises(SelectionError, match=message):
        projection(values, **more)
    with pytest.raises(SelectionError, match=r"give \[layer, text, width\]"):
        project_layers(np.zeros((4, 3)))


def test_a_layout_that_goes_on_from_another_is_not_blown_up_first(monkeypatch):
    from sklearn import manifold

    asked = []
    engine = manifold.TSNE
    monkeypatch.setattr(manifold, "TSNE", lambda **settings: asked.append(settings) or engine(**settings))
    first = projection(clouds(), method="tsne")
    projection(clouds(), method="tsne", start=first.points)
    assert [settings["early_exaggeration"] for settings in asked] == [12, 1]
    assert np.abs(asked[0]["init"]).max() < 0.01 < np.abs(asked[1]["init"]).max(), "at its full extent"


def test_what_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    with pytest.raises(SelectionError, match=r"needs scikit-learn, which is not installed; .*'attnflow\[texts\]'"):
        projection(clouds(), method="pca")
    monkeypatch.setattr(projection_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SelectionError, match=r"UMAP is not installed; choose tsne or pca, or .*'attnflow\[umap\]'"):
        projection(clouds(), method="umap")


def test_umap_and_opentsne_are_used_where_they_are_installed(monkeypatch):
    seen = []

    class Engine:
        def __init__(self, **options):
            seen.append(options)

        def fit(self, values):
            return values[:, :2]

        fit_transform = fit

    monkeypatch.setattr(projection_module.importlib.util, "find_spec", lambda name: True)
    for name in ("umap", "openTSNE"):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(UMAP=Engine, TSNE=Engine))
    monkeypatch.setattr(projection_module, "LARGE", 50)
    start = clouds()[:, :2]
    for method, own in (("umap", "init"), ("tsne", "initialization")):
        seen.clear()
        projection(clouds(), method=method, seed=7)
        projection(clouds(), method=method, seed=7, start=start)
        assert [one["random_state"] for one in seen] == [7, 7]
        np.testing.assert_allclose(seen[1][own], start - start.mean(0) * (method == "tsne"), atol=1e-5)
    assert seen[1]["early_exaggeration_iter"] == 0
