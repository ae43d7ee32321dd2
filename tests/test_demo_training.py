"""Training of the demo pair: a tiny run end to end, the pieces it is made of, and the assets that ship."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, BertTokenizer

from attnflow import data_map, open_texts
from attnflow.bundled import ASSETS
from attnflow.corpus.dynamics_files import open_dynamics
from attnflow.demo import train
from attnflow.demo.batches import IGNORED, batches, collate, encode_pairs, mask_words, next_sentence_pairs
from attnflow.demo.examples import LONGEST_FIRST, contrast
from attnflow.demo.grammar import LABELS, PHENOMENA, generate
from attnflow.demo.lexicon import SPLIT_WORDS
from attnflow.demo.measuring import RootReading, bag_of_words_right, encode, logits, root_readings, token_flags
from attnflow.demo.recording import Recording
from attnflow.demo.vocabulary import train_tokenizer

DEMO = ASSETS / "demo"
TINY = (
    "--pretrain-steps 12 --finetune-steps 12 --texts 600 --held-out 160 --layers 2 --heads 4 --width 32 "
    "--intermediate 64 --seed 7"
).split()
FILES = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    train.main(["--out", str(out), *TINY])
    return out


@pytest.fixture(scope="module")
def tokenizer() -> BertTokenizer:
    texts, _ = next_sentence_pairs(1, 1500)
    return train_tokenizer((text for pair in texts for text in pair), 700, SPLIT_WORDS)


def read(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8"))


# --- a tiny run ------------------------------------------------------------------------------------------------------


def test_a_tiny_run_writes_checkpoints_that_load(tiny: Path) -> None:
    for name in ("pretrained", "finetuned"):
        assert {path.name for path in (tiny / name).iterdir() if path.is_file()} == FILES
        model = AutoModel.from_pretrained(tiny / name)
        assert (model.config.num_hidden_layers, model.config.num_attention_heads, model.config.hidden_size) == (
            2,
            4,
            32,
        )
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        loaded = AutoTokenizer.from_pretrained(tiny / name)
        assert loaded("Anna met Paul.", "Who met Paul?").tokens()[0] == "[CLS]"
        assert loaded.model_max_length == model.config.max_position_embeddings == 128
    model = AutoModelForSequenceClassification.from_pretrained(tiny / "finetuned")
    assert [model.config.id2label[i] for i in range(2)] == list(LABELS)


def test_a_tiny_run_records_itself_without_a_change(tiny: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in (tiny / "dynamics").iterdir())
    assert names == [f"dynamics_epoch_{stretch}.jsonl.gz" for stretch in range(10)]
    found, texts = data_map(tiny / "dynamics"), open_texts(tiny / "training.csv")
    assert len(found) == len(texts) == 600 and len(found.epochs) == 10 and not found.notes
    assert [text.guid for text in texts] == [str(guid) for guid in found.guid]
    again = tmp_path / "again"
    for name in ("pretrained", "finetuned"):
        shutil.copytree(tiny / name, again / name)
    more = ["--record-only", "--checkpoints", str(again / "moments")]
    train.main(["--out", str(again), *TINY, *more])
    for name in names:
        assert (again / "dynamics" / name).read_bytes() == (tiny / "dynamics" / name).read_bytes()
    assert (again / "training.csv").read_bytes() == (tiny / "training.csv").read_bytes()
    moments = sorted(path.name for path in (again / "moments").iterdir())
    assert moments == ["checkpoint-1", "checkpoint-4", "checkpoint-7"]  # of 12 steps
    model = AutoModelForSequenceClassification.from_pretrained(again / "moments" / "checkpoint-7", dtype="auto")
    assert {p.dtype for p in model.parameters()} == {torch.float16}
    assert AutoTokenizer.from_pretrained(again / "moments" / "checkpoint-7").tokenize("Anna")
    last = open_dynamics(tiny / "dynamics").logits[:, -1]
    model = AutoModelForSequenceClassification.from_pretrained(tiny / "finetuned").eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny / "finetuned")
    with torch.inference_mode():
        own = model(**tokenizer(texts[5].text_a, texts[5].text_b, return_tensors="pt")).logits[0]
    np.testing.assert_allclose(last[5], own.numpy(), rtol=1e-3, atol=1e-5)


def test_a_recording_is_without_dropout_and_leaves_the_model_in_training(tiny: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny / "finetuned")
    rows = encode(tokenizer, list(generate(3, 20)))
    model = AutoModelForSequenceClassification.from_pretrained(tiny / "finetuned", hidden_dropout_prob=0.5).train()
    (tmp_path / "dynamics_epoch_9.jsonl.gz").write_bytes(b"of another run")
    before = torch.get_rng_state()
    recording = Recording(tmp_path, rows, 4, stretches=2)
    for step in range(1, 5):
        recording.after(step, model)
    assert model.training and torch.equal(before, torch.get_rng_state())
    found = open_dynamics(tmp_path)
    assert found.epochs == (0, 1)
    np.testing.assert_allclose(found.logits[:, 0], logits(model.eval(), rows).numpy(), rtol=1e-4, atol=1e-6)


def test_fine_tuning_starts_from_the_pre_trained_weights(tiny: Path) -> None:
    before, after = (AutoModel.from_pretrained(tiny / name).state_dict() for name in ("pretrained", "finetuned"))
    name = "embeddings.word_embeddings.weight"
    assert not torch.equal(before[name], after[name])
    assert torch.cosine_similarity(before[name].flatten(), after[name].flatten(), dim=0) > 0.98


def test_a_tiny_run_writes_down_what_it_measured(tiny: Path) -> None:
    report = read(tiny / "accuracy.json")
    assert report["seed"] == 7 and report["recipe"]["finetune_steps"] == 12
    assert set(report["training"]) == {"threads", "pretraining_seconds", "finetuning_seconds"}
    assert 0 <= report["pretrained"]["masked_word_accuracy"] <= 1
    assert set(report["held_out"]["phenomena"]) == set(PHENOMENA)
    assert sum(found["pairs"] for found in report["held_out"]["phenomena"].values()) == 160
    rows = [json.loads(line) for line in (tiny / "pairs.jsonl").read_text().splitlines()]
    assert len(rows) == 160 and {row["phenomenon"] for row in rows} == set(PHENOMENA)
    assert (tiny / "sentences.conllu").read_text().count("# sent_id") >= 320
    assert isinstance(read(tiny / "examples.json"), list)
    assert f"{report['held_out']['accuracy']:.3f}" in (tiny / "README.md").read_text()


def test_the_same_seed_trains_the_same_weights(tiny: Path, tmp_path: Path) -> None:
    train.main(["--out", str(tmp_path), *TINY])
    first, second = (AutoModel.from_pretrained(out / "finetuned").state_dict() for out in (tiny, tmp_path))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_assessing_again_gives_the_same_files_without_training(tiny: Path) -> None:
    names = ("accuracy.json", "examples.json", "pairs.jsonl", "sentences.conllu", "README.md")
    before = {name: (tiny / name).read_text() for name in names}
    weights = (tiny / "finetuned" / "model.safetensors").stat().st_mtime_ns
    train.main(["--out", str(tiny), *TINY, "--assess-only"])
    assert {name: (tiny / name).read_text() for name in names} == before
    assert (tiny / "finetuned" / "model.safetensors").stat().st_mtime_ns == weights


# --- tokenizer and batches -------------------------------------------------------------------------------------------


def test_the_tokenizer_keeps_common_words_whole_splits_rare_ones_and_reads_any_english(
    tokenizer: BertTokenizer,
) -> None:
    tokens = tokenizer("Anna lent Paul a lamp.", "PAUL borrowed Octavia's lamp!").tokens()
    assert tokens[:8] == ["[CLS]", "anna", "lent", "paul", "a", "lamp", ".", "[SEP]"]
    assert tokens[8:10] == ["paul", "borrowed"] and "octavia" not in tokens and tokens[-1] == "[SEP]"
    typed = 'The quick brown fox (aged 37) jumped over 2 lazy dogs; @home, 50% #1 & more! "Why?" It\'s café.'
    assert tokenizer.unk_token_id not in tokenizer(typed)["input_ids"]


def test_batches_hold_every_text_once_in_an_epoch_and_twins_together(tokenizer: BertTokenizer) -> None:
    rows = encode(tokenizer, list(generate(0, 100)))
    places = {id(row): number for number, row in enumerate(rows)}
    stream = batches(rows, 8, random.Random(0), group=2)
    seen, sizes = [], []
    while len(seen) < len(rows):
        batch = next(stream)
        sizes.append(max(len(r.ids) for r in batch) - min(len(r.ids) for r in batch))
        seen += [id(row) for row in batch]
        numbers = [places[id(row)] for row in batch]
        assert all(n ^ 1 in numbers for n in numbers), "twins are apart"
    assert sorted(seen) == sorted(id(row) for row in rows)
    assert np.mean(sizes) < 3


def test_padding_and_segments(tokenizer: BertTokenizer) -> None:
    short, long = encode_pairs(tokenizer, [("Anna sang.", "Who sang?"), ("Anna gave Paul a lamp.", "No.")], [0, 1])
    batch = collate([short, long])
    n = len(short.ids)
    assert batch["input_ids"][0, n:].tolist() == [tokenizer.pad_token_id] * (len(long.ids) - n)
    assert batch["attention_mask"].sum(1).tolist() == [n, len(long.ids)]
    assert batch["token_type_ids"][0, :n].tolist() == [0] * 5 + [1] * (n - 5)
    assert batch["labels"].tolist() == [0, 1]


def test_masking_hides_a_fifth_of_the_words_and_no_special_token(tokenizer: BertTokenizer) -> None:
    batch = collate(encode(tokenizer, list(generate(0, 400))))
    masked = mask_words(batch, tokenizer, torch.Generator().manual_seed(0))
    chosen = masked["labels"] != IGNORED
    special = torch.isin(batch["input_ids"], torch.tensor(tokenizer.all_special_ids))
    assert not (chosen & special).any()
    assert float(chosen[~special].float().mean()) == pytest.approx(0.2, abs=0.02)
    assert torch.equal(masked["labels"][chosen], batch["input_ids"][chosen])
    assert torch.equal(masked["input_ids"][~chosen], batch["input_ids"][~chosen])
    replaced = chosen & (masked["input_ids"] != tokenizer.mask_token_id) & (masked["input_ids"] != batch["input_ids"])
    assert 0.1 < float(replaced[chosen].float().mean()) < 0.2
    for row, position in replaced.nonzero().tolist():
        assert masked["input_ids"][row, position] in batch["input_ids"][row]
    shares = (masked["input_ids"] == tokenizer.mask_token_id)[chosen].float().mean()
    assert float(shares) == pytest.approx(0.7, abs=0.04)


def test_next_sentences_follow_or_come_from_elsewhere() -> None:
    texts, labels = next_sentence_pairs(2, 1000)
    assert len(texts) == len(labels) and np.mean(labels) == pytest.approx(0.2, abs=0.04)
    shares = {0: [], 1: []}
    for (a, b), label in zip(texts, labels, strict=True):
        names = {word.strip(".,?'s") for word in a.split()[1:] if word[0].isupper()}
        shares[label].append(any(name in b for name in names))
    assert np.mean(shares[0]) > np.mean(shares[1]) + 0.3


# --- measuring -------------------------------------------------------------------------------------------------------


def test_a_bag_of_words_learns_a_giveaway_but_not_the_task(tokenizer: BertTokenizer) -> None:
    rows = encode(tokenizer, list(generate(0, 3000)))
    fresh = encode(tokenizer, list(generate(0, 800, held_out=True)))
    assert 0.4 < np.mean(bag_of_words_right(rows, fresh, len(tokenizer))) < 0.6
    texts = [("Anna sang.", "Anna sang." if i % 2 else "Paul sang.") for i in range(400)]
    easy = encode_pairs(tokenizer, texts, [i % 2 for i in range(400)])
    assert all(bag_of_words_right(easy[:300], easy[300:], len(tokenizer)))


def test_deciding_tokens_are_those_of_the_deciding_words(tokenizer: BertTokenizer) -> None:
    for pair in generate(0, 64, held_out=True):
        special, deciders = token_flags(tokenizer, pair)
        tokens = tokenizer(pair.text_a, pair.text_b).tokens()
        assert len(tokens) == len(special) == len(deciders)
        assert [t in ("[CLS]", "[SEP]") for t in tokens] == list(special)
        spelled = "".join(t.removeprefix("##") for t, word in zip(tokens, deciders, strict=True) if word)
        expected = [
            text[s:e]
            for text, side in ((pair.text_a, "a"), (pair.text_b, "b"))
            for s, e in pair.deciding_characters(side)
        ]
        assert spelled == "".join(expected).lower()


def reading(rows: list[list[float]], decider: int) -> RootReading:
    attention = np.array(rows, dtype=np.float32)
    n = attention.shape[1]
    special = np.array([i in (0, n - 1) for i in range(n)])
    return RootReading(attention, special, tuple("word" if i == decider else "" for i in range(n)))


def test_the_top_token_is_counted_in_heads_and_never_a_special_one() -> None:
    found = reading([[0.6, 0.1, 0.2, 0.1], [0.6, 0.0, 0.3, 0.1], [0.0, 0.9, 0.0, 0.1]], decider=2)
    assert found.counts(0.15).tolist() == [2, 1, 2, 0]
    assert found.top_token(0.15) == 2 and found.reads_decider(0.15)
    assert found.top_token(0.5) == 1 and not found.reads_decider(0.5)
    assert not found.reads_decider(0.95)
    assert found.counts(0.6).tolist() == (found.attention > 0.6).sum(0).tolist()
    assert found.decider_share() == pytest.approx(0.5 / 3)


def test_contrast_needs_the_decider_on_top_in_the_fine_tuned_model_alone() -> None:
    on = reading([[0.1, 0.1, 0.7, 0.1], [0.1, 0.1, 0.6, 0.2]], decider=2)
    off = reading([[0.1, 0.7, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1]], decider=2)
    assert contrast(on, off, 0.3) == pytest.approx(2 + 0.65 - 0.15)
    less = reading([[0.1, 0.1, 0.5, 0.3], [0.3, 0.2, 0.2, 0.3]], decider=2)
    assert less.reads_decider(0.3) and contrast(on, less, 0.3) == 0
    assert contrast(off, on, 0.3) == contrast(on, on, 0.3) == contrast(off, off, 0.3) == 0


def test_root_readings_are_the_last_layers_first_row_whatever_the_batch(tiny: Path) -> None:
    model = AutoModel.from_pretrained(tiny / "finetuned", attn_implementation="eager")
    own = AutoTokenizer.from_pretrained(tiny / "finetuned")
    pairs = list(generate(0, 12, held_out=True))
    for pair, found in zip(pairs, root_readings(model, own, pairs), strict=True):
        with torch.inference_mode():
            alone = model(**own(pair.text_a, pair.text_b, return_tensors="pt"), output_attentions=True)
        assert np.allclose(found.attention, alone.attentions[-1][0, :, 0].numpy(), atol=1e-5)
        assert np.allclose(found.attention.sum(1), 1, atol=1e-5)


# --- what ships ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> list[dict]:
    return [json.loads(line) for line in (DEMO / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]


def test_shipped_checkpoints_are_small_and_name_no_machine() -> None:
    folders = [DEMO / "pretrained", DEMO / "finetuned"]
    moments = sorted((DEMO / "finetuned").glob("checkpoint-*"))
    assert len(moments) == 3
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) <= 12_000_000
    for folder in [*folders, *moments]:
        state = {"trainer_state.json"} if folder in moments else set()
        assert {path.name for path in folder.iterdir() if path.is_file()} == FILES | state
        for path in folder.glob("*.json"):
            text = path.read_text(encoding="utf-8")
            assert "/home" not in text and "/work" not in text and "/tmp" not in text
            assert "_name_or_path" not in text


def test_the_shipped_model_is_as_accurate_as_it_says(shipped: list[dict]) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(DEMO / "finetuned")
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "finetuned")
    texts = [[row[key] for row in shipped] for key in ("text_a", "text_b")]
    with torch.inference_mode():
        scores = model(**tokenizer(*texts, padding=True, return_tensors="pt")).logits
    right = scores.argmax(-1).numpy() == np.array([row["label"] for row in shipped])
    report = read(DEMO / "accuracy.json")
    assert len(shipped) >= 400 and right.mean() >= 0.95
    assert right.mean() == pytest.approx(report["held_out"]["accuracy"], abs=0.03)
    assert report["held_out"]["accuracy"] >= 0.95 and report["bag_of_words"]["accuracy"] < 0.6
    assert min(found["accuracy"] for found in report["held_out"]["phenomena"].values()) >= 0.9


def test_shipped_pairs_are_those_of_the_grammar_and_have_their_trees(shipped: list[dict]) -> None:
    report = read(DEMO / "accuracy.json")
    again = list(generate(report["seed"], len(shipped), held_out=True))
    assert [pair.record() for pair in again] == shipped
    ids = [
        line.removeprefix("# sent_id = ")
        for line in (DEMO / "sentences.conllu").read_text(encoding="utf-8").splitlines()
        if line.startswith("# sent_id")
    ]
    assert {name.split("-")[0] for name in ids} == {str(number) for number in range(len(shipped))}


def test_shipped_examples_show_what_they_say() -> None:
    examples = read(DEMO / "examples.json")
    assert 6 <= len(examples) <= 8 and len({e["phenomenon"] for e in examples}) == len(examples)
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "finetuned")
    first = examples[0]
    assert len(tokenizer(first["text_a"], first["text_b"])["input_ids"]) <= LONGEST_FIRST
    models = [
        AutoModelForSequenceClassification.from_pretrained(DEMO / "finetuned", attn_implementation="eager"),
        AutoModel.from_pretrained(DEMO / "pretrained", attn_implementation="eager"),
    ]
    for example in examples:
        inputs = tokenizer(example["text_a"], example["text_b"], return_tensors="pt")
        with torch.inference_mode():
            outputs = [model(**inputs, output_attentions=True) for model in models]
        assert LABELS[int(outputs[0].logits.argmax())] == example["label"]
        heads = [(out.attentions[-1][0, :, 0] > example["tau"]).sum(0) for out in outputs]
        word, token = example["word"], example["token"]
        piece = tokenizer.decode(inputs["input_ids"][0, token]).strip()
        assert piece == word.lower()
        counts = [int(count[token]) for count in heads]
        assert counts == [example["heads_finetuned"], example["heads_pretrained"]] and counts[0] > counts[1]
        assert f"“{word}”" in example["what_to_see"]
