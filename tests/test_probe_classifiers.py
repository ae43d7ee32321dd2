"""The scores of the probing classifiers equal a literal transcription, on attention of several architectures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnflow import encode
from attnflow.corpus.probe_reading import examples, read_attention, readable
from attnflow.corpus.word_vectors import OwnVectors
from attnflow.errors import SelectionError
from attnflow.methods.probing.attention_file import MARKS, AttentionFile
from attnflow.methods.probing.classifiers import KINDS, untrained
from attnflow.methods.probing.examples import GONE, Example, Examples, alone
from attnflow.methods.probing.training import judge, loss_of, probabilities, train
from attnflow.records.trees import ROOT, Sentence, cycle_in
from attnflow.runtime.capture import capture
from attnflow.stats.best_tree import best_tree
from attnflow.stats.dependencies import OFFSETS
from tests import reference, reference_probes

NAMES = ("bert", "roberta", "albert", "gpt2", "llama", "gemma2")


def sentence(text: str, governor: tuple[int, ...], relation: tuple[str, ...] | None = None) -> Sentence:
    words, spans, start = text.split(), [], 0
    for word in words:
        spans.append((start, start + len(word)))
        start += len(word) + 1
    return Sentence(text, tuple(words), governor, relation or ("dep",) * len(words), tuple(spans), text)


SENTENCES = (
    sentence(
        "Anna gave the unbelievable book to her brother .", (1, -1, 4, 4, 1, 7, 7, 1, 1), ("dep",) * 8 + ("punct",)
    ),
    sentence("The train left this morning", (1, 2, -1, 4, 2)),
    sentence("Nobody knows", (1, -1)),
    sentence("He borrowed twenty coins from a friend and bought bread", (1, -1, 3, 1, 6, 6, 1, 8, 1, 8)),
)


def read(checkpoint, sentences=SENTENCES) -> Examples:
    found, failed = readable(checkpoint, sentences, None)
    assert not failed and len(found) == len(sentences)
    file = AttentionFile([len(one) for one in found], checkpoint.n_layers * checkpoint.n_heads)
    made = examples(checkpoint, found, OwnVectors(), file)
    read_attention(checkpoint, found, file)
    return made


def drawn(kind, made: Examples, seed=0):
    classifier = untrained(kind, made.attention.n_maps, made.vectors.shape[1], torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed)
    for weights in classifier.parameters():
        weights.data = torch.randn(weights.shape, generator=generator)
    return classifier


def expected_scores(kind, classifier, made: Examples, number: int):
    """The same by loops over heads and words, from the attention as the file gives it back."""
    one = made.sentences[number]
    stored = made.attention.read(one.row).astype(np.float64)
    maps = [stored[..., k] for k in range(stored.shape[-1])]
    paid = [a[MARKS:, MARKS:] for a in maps]
    marks = [
        None if not any(a[mark].any() or a[:, mark].any() for a in maps)
        else ([a[MARKS:, mark] for a in maps], [a[mark, MARKS:] for a in maps])
        for mark in range(MARKS)
    ]  # fmt: skip
    weights = {name: values.detach().double().numpy() for name, values in classifier.named_parameters()}
    vectors = made.vectors[one.vector].astype(np.float64)
    if kind == "attention":
        w, u = weights["weight"].T
        return paid, reference_probes.attention_scores(paid, *marks, w, u, weights["root"])
    if kind == "attention and words":
        by = weights["weight"]  # [D, 4, K]
        w, u = weights["bias"].T
        scores = reference_probes.words_scores(
            paid, *marks, vectors, by[:, 2].T, by[:, 0].T, by[:, 1].T, by[:, 3].T, w, u, weights["root"]
        )
        return paid, scores
    scores = reference_probes.distance_scores(
        vectors,
        weights["words"][:, 0],
        weights["words"][:, 1],
        weights["distances"],
        weights["bias"],
        weights["out"],
    )
    return paid, scores


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_probabilities_and_loss_equal_the_transcription(name, kind, checkpoints):
    made = read(checkpoints[name])
    classifier = drawn(kind, made)
    for number in range(len(SENTENCES)):
        one = made.chosen([made.sentences[number]])
        (batch,) = one.batches()
        found = probabilities(classifier, batch)[0]
        _, scores = expected_scores(kind, classifier, made, number)
        np.testing.assert_allclose(found, reference_probes.probabilities(scores), rtol=2e-4, atol=1e-6)
        np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-12)
        assert not found[np.arange(len(found)), np.arange(len(found))].any()
        expected = reference_probes.loss(scores, list(SENTENCES[number].governor))
        assert judge(classifier, one)[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", ["attention", "attention and words"])
def test_the_gradient_of_the_loss_equals_the_transcription(kind, checkpoints):
    made = read(checkpoints["gpt2"])  # without marks, so that the root is one number
    classifier = drawn(kind, made).double()
    for weights in classifier.parameters():
        weights.data *= 0.3
    (batch,) = made.chosen([made.sentences[1]]).batches()
    batch = type(batch)(**{**vars(batch), "attention": batch.attention.double(), "vectors": batch.vectors.double()})
    loss_of(classifier.log_probabilities(batch), batch).backward()
    paid, scores = expected_scores(kind, classifier, made, 1)
    governor = list(SENTENCES[1].governor)
    linear = classifier.weight if kind == "attention" else classifier.bias
    np.testing.assert_allclose(
        linear.grad.numpy(), reference_probes.attention_gradient_of_loss(paid, scores, governor), rtol=1e-6, atol=1e-9
    )
    for name, weights in classifier.named_parameters():
        before, some = weights.data.clone(), np.random.default_rng(0).integers(0, weights.numel(), 12)

        def loss_at(values, weights=weights, before=before, some=some):
            weights.data = before.clone()
            weights.data.view(-1)[some] = torch.from_numpy(values)
            return reference_probes.loss(expected_scores(kind, classifier, made, 1)[1], governor)

        some = np.unique(some)
        expected = reference_probes.gradient(lambda at, f=loss_at, s=some: f(at, some=s), before.view(-1)[some].numpy())
        weights.data = before
        np.testing.assert_allclose(weights.grad.view(-1)[some].numpy(), expected, rtol=1e-5, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_equals_single_sentences(kind, checkpoints):
    made = read(checkpoints["bert"])
    classifier = drawn(kind, made)
    (batch,) = made.batches()
    order = np.argsort([len(one) for one in made.sentences], kind="stable")
    assert batch.attention.shape[0] == len(SENTENCES)
    for row, number in enumerate(order):
        size = len(made.sentences[number])
        (single,) = made.chosen([made.sentences[number]]).batches()
        together = probabilities(classifier, batch)[row]
        found = np.concatenate([together[:size, :size], together[:size, -1:]], axis=1)
        np.testing.assert_allclose(found, probabilities(classifier, single)[0], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", ["attention", "attention and words"])
def test_words_in_another_order_have_the_same_probabilities(kind, checkpoints):
    made = read(checkpoints["bert"])
    classifier = drawn(kind, made)
    attention = torch.from_numpy(made.attention.read(3).astype(np.float32)).permute(2, 0, 1)
    vectors = torch.from_numpy(made.vectors[made.sentences[3].vector])
    order = np.random.default_rng(0).permutation(len(vectors))
    places = np.concatenate([np.arange(MARKS), order + MARKS])
    groups = np.arange(len(places), dtype=np.int32)
    found = probabilities(classifier, alone(attention, vectors, groups))[0]
    other = probabilities(classifier, alone(attention[:, places][:, :, places], vectors[order], groups))[0]
    np.testing.assert_allclose(other, found[order][:, [*order, -1]], rtol=1e-4)


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_attention_between_words_and_marks_is_kept(name, checkpoints):
    checkpoint = checkpoints[name]
    made = read(checkpoint)
    for one, tree in zip(made.sentences, SENTENCES, strict=True):
        encoding = encode(checkpoint, tree.text)
        trace, groups = capture(checkpoint, encoding), tree.groups(encoding.tokens).tolist()
        special = [encoding.tokens.sentence[place] == -1 for place in (0, -1)]
        assert one.marked == any(special)
        found = (
            made.attention.read(one.row).transpose(2, 0, 1).reshape(trace.n_layers, trace.n_heads, *[len(tree) + 2] * 2)
        )
        expected = reference.word_attention(trace.attention, groups, "mean")
        np.testing.assert_allclose(found[..., MARKS:, MARKS:], expected, rtol=2e-3, atol=2e-4)
        for mark, there in enumerate(special):
            for word in range(len(tree)):
                own = [token for token, group in enumerate(groups) if group == word]
                to = trace.attention[..., own, -mark].mean(-1) if there else 0
                back = trace.attention[..., -mark, own].sum(-1) if there else 0
                np.testing.assert_allclose(found[..., MARKS + word, mark], to, rtol=2e-3, atol=2e-4)
                np.testing.assert_allclose(found[..., mark, MARKS + word], back, rtol=2e-3, atol=2e-4)


def test_vectors_are_means_of_the_model_s_own_embeddings(checkpoints):
    checkpoint = checkpoints["bert"]
    made = read(checkpoint)
    table = checkpoint.model.get_input_embeddings().weight
    for one, tree in zip(made.sentences, SENTENCES, strict=True):
        encoding = encode(checkpoint, tree.text)
        groups = tree.groups(encoding.tokens)
        for word in range(len(tree)):
            expected = table[torch.from_numpy(encoding.inputs["input_ids"][groups == word])].mean(0)
            np.testing.assert_allclose(made.vectors[one.vector[word]], expected.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_the_best_tree_is_the_best_of_all(size):
    generator = np.random.default_rng(size)
    for _ in range(40):
        found = generator.dirichlet(np.full(size + 1, 0.3), size)
        found = np.maximum(found, 1e-12)
        found[np.arange(size), np.arange(size)] = 0.9  # what a word says of itself is not looked at
        tree = best_tree(found)
        assert tree.count(ROOT) == 1 and cycle_in(tree) is None
        value = sum(np.log(found[word, governor]) for word, governor in enumerate(tree))
        assert value == pytest.approx(reference_probes.best_tree(found), rel=1e-9)
        assert best_tree(found) == tree


def test_a_tree_is_found_where_arcs_are_impossible_or_equal():
    assert best_tree(np.full((4, 5), 0.25)).count(ROOT) == 1
    nothing = np.zeros((3, 4))
    nothing[:, -1] = 1.0  # every word is sure to be the root, and one is
    assert best_tree(nothing).count(ROOT) == 1 and cycle_in(best_tree(nothing)) is None
    with pytest.raises(SelectionError, match=r"are \(2, 2\); give \[W, W \+ 1\]"):
        best_tree(np.ones((2, 2)))


def made_up(count: int, seed: int, told: float = 1.0) -> Examples:
    """Sentences with random trees, and three heads, of which the second pays the governor."""
    generator = np.random.default_rng(seed)
    sentences, sizes = [], generator.integers(2, 9, count)
    file = AttentionFile(sizes.tolist(), 3)
    for row, size in enumerate(sizes):
        governor = np.array([generator.integers(-1 if word == 0 else 0, max(word, 1)) for word in range(size)])
        governor[0] = ROOT
        attention = generator.random((3, size + MARKS, size + MARKS), np.float32) * 0.1
        for word, above in enumerate(governor):
            attention[1, word + MARKS, above + MARKS if above >= 0 else 0] += told
        file.write(row, attention)
        sentences.append(Example(row, governor, np.ones(size, bool), np.zeros(size, np.int64), True))
    return Examples(tuple(sentences), file, np.ones((1, 4), np.float32))


@pytest.mark.parametrize("kind", ["attention", "attention and words"])
def test_what_a_head_tells_is_learnt_and_shuffled_trees_are_not(kind):
    learnt_from, judged_on, scored = made_up(300, 0), made_up(60, 1), made_up(60, 2)
    trained = train(kind, learnt_from, judged_on, 0)
    assert judge(trained.classifier, scored)[1].share == 1.0
    curve = trained.curve
    assert curve.dev_loss[curve.best] == curve.dev_loss.min() < curve.dev_loss[0]
    assert len(curve.loss) == len(curve.dev_loss) == len(curve.dev_uas)
    assert judge(trained.classifier, judged_on)[0] == pytest.approx(curve.dev_loss[curve.best], rel=1e-6)
    draw = np.random.default_rng(0)
    parts = [one.chosen([tree.shuffled(draw) for tree in one.sentences]) for one in (learnt_from, judged_on, scored)]
    control = train(kind, parts[0], parts[1], 0)
    assert judge(control.classifier, parts[2])[1].share < 0.6


def test_a_seed_fixes_every_bit():
    learnt_from, judged_on = made_up(40, 0, 0.2), made_up(20, 1, 0.2)
    for kind in KINDS:
        one, same = (train(kind, learnt_from, judged_on, 3, most_epochs=2) for _ in range(2))
        other = train(kind, learnt_from, judged_on, 4, most_epochs=2)
        pairs = list(zip(one.classifier.parameters(), same.classifier.parameters(), strict=True))
        assert all(torch.equal(a, b) for a, b in pairs) and (one.curve.loss == same.curve.loss).all()
        assert (one.curve.loss != other.curve.loss).any()


def test_a_shuffled_tree_has_the_same_shape():
    tree = Example(0, np.array([1, ROOT, 3, 1, GONE]), np.array([1, 1, 1, 1, 0], bool), np.arange(5), True)
    seen = set()
    for seed in range(20):
        other = tree.shuffled(np.random.default_rng(seed))
        assert sorted(np.bincount(other.governor[other.governor >= 0], minlength=5)) == [0, 0, 0, 1, 2]
        assert cycle_in([governor if governor >= 0 else ROOT for governor in other.governor]) is None
        assert other.cases.sum() == tree.cases.sum() == 4 and (other.vector == tree.vector).all()
        seen.add(tuple(other.governor))
    assert len(seen) > 5


def test_a_fixed_offset_equals_a_loop():
    from attnflow.corpus.attention_probe import _offset

    made = made_up(50, 5)
    for offset in OFFSETS:
        right = sum(
            int(governor == word + offset)
            for one in made.sentences
            for word, governor in enumerate(one.governor.tolist())
            if governor >= 0
        )
        found = _offset(made, offset)
        assert (found.right, found.n) == (right, sum(map(len, made.sentences)))


def test_the_file_gives_back_what_it_was_given_and_says_where_there_is_no_room(monkeypatch):
    values = np.random.default_rng(0).random((3, 6, 6)).astype(np.float32)
    assert AttentionFile.bytes_needed([4, 2], 3) == 2 * 3 * (36 + 16)
    with AttentionFile([2, 4], 3) as file:
        file.write(1, values)
        np.testing.assert_array_equal(file.read(1), values.transpose(1, 2, 0).astype(np.float16))
        assert file.read(0).shape == (4, 4, 3) and not file.read(0).any()

        class Full:
            def seek(self, place):
                raise OSError(28, "No space left on device")

            def close(self):
                pass

        monkeypatch.setattr(file, "_file", Full())
        with pytest.raises(SelectionError, match=r"cannot be written there .*No space left.*; make room"):
            file.write(1, values)
