"""Which files of a data set are which split: by its card, by their names, and never a file that is not its own."""

import pytest

from attnflow import SelectionError
from attnflow.corpus.layout import choose, choose_converted, matches, read_card

SHARDS = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet"]
GLUE = [
    f"{name}/{split}-00000-of-00001.parquet" for name in ("mrpc", "sst2") for split in ("train", "validation", "test")
]
GLUE_CARD = """---
configs:
- config_name: mrpc
  data_files:
  - split: train
    path: mrpc/train-*
  - split: validation
    path: mrpc/validation-*
- config_name: sst2
  data_files:
  - split: train
    path: sst2/train-*
dataset_info:
- config_name: mrpc
  features:
  - name: label
    dtype:
      class_label:
        names:
          '0': not_equivalent
          '1': equivalent
  splits:
  - name: train
    num_examples: 3668
---
# GLUE
"""


def chosen(files, card="", name=None, split=None):
    found = choose(files, read_card(card), "lab/data", name, split)
    return None if found is None else (found.name, found.split, [*found.files])


@pytest.mark.parametrize(
    ("files", "split", "expected"),
    [
        (SHARDS, None, ("default", "train", SHARDS[:2])),
        (SHARDS, "test", ("default", "test", SHARDS[2:])),
        (
            ["data/unseen-00000-of-00001.parquet"],
            "unseen",
            ("default", "unseen", ["data/unseen-00000-of-00001.parquet"]),
        ),
        (["train.csv", "dev.csv", "test.csv"], None, ("default", "validation", ["dev.csv"])),
        (["a/train/1.jsonl", "a/train/2.jsonl", "b/eval/1.jsonl"], "test", ("default", "test", ["b/eval/1.jsonl"])),
        (["train/1.csv", "my-test.csv"], None, ("default", "train", ["train/1.csv"])),
        (["training_set.tsv", "constraints.tsv"], None, ("default", "train", ["training_set.tsv"])),
        (["one.csv", "two.csv"], None, ("default", "train", ["one.csv", "two.csv"])),
        (["one.csv", "two.parquet", "notes.txt"], None, ("default", "train", ["two.parquet"])),
        (
            ["README.md", "LICENSE.txt", "dataset_infos.json", ".hidden/x.csv", "x.png", "x.csv"],
            None,
            ("default", "train", ["x.csv"]),
        ),
        (["README.md", "data.py", "x.zip"], None, None),
        ([], None, None),
    ],
)
def test_splits_are_found_by_the_names_of_files(files, split, expected):
    assert chosen(files, split=split) == expected


def test_a_card_says_what_is_what():
    assert chosen(GLUE, GLUE_CARD, "mrpc") == ("mrpc", "validation", [GLUE[1]])
    found = choose(GLUE, read_card(GLUE_CARD), "lab/data", "mrpc", "train")
    assert found is not None
    assert (dict(found.classes), found.total) == ({"label": ("not_equivalent", "equivalent")}, 3668)
    with pytest.raises(SelectionError, match="several configurations; choose one by its name: 'mrpc', 'sst2'"):
        chosen(GLUE, GLUE_CARD)
    with pytest.raises(SelectionError, match="no configuration 'cola'; it has 'mrpc', 'sst2'"):
        chosen(GLUE, GLUE_CARD, "cola")
    with pytest.raises(SelectionError, match=r"lab/data \(sst2\) has no split 'test'; it has 'train'"):
        chosen(GLUE, GLUE_CARD, "sst2", "test")


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ("data_files: a.csv", ["a.csv"]),
        ("data_files: [a.csv, b.csv]", ["a.csv", "b.csv"]),
        ("data_files: '*.csv'", ["a.csv", "b.csv"]),
        ("data_files: {train: d/*.csv}", ["d/c.csv"]),
        ("data_dir: d", ["d/c.csv"]),
        ("{data_dir: d, data_files: c.csv}", ["d/c.csv"]),
        ("data_files: '**/*.csv'", ["a.csv", "b.csv", "d/c.csv"]),
        ("data_files: /etc/passwd", None),
        ("data_files: ../secret.csv", None),
        ("data_files: https://example.org/a.csv", None),
        ("data_files: [3, {}]", None),
        ("data_files: {train: {}}", None),
    ],
)
def test_patterns_choose_among_the_files_of_the_data_set(configs, expected):
    configs = configs if configs.startswith("{") else "{" + configs + "}"
    found = chosen(["a.csv", "b.csv", "d/c.csv"], f"---\nconfigs:\n- {configs}\n---\n")
    assert found == (None if expected is None else ("default", "train", expected))


def test_the_default_configuration_is_the_one_that_says_so():
    entries = "{config_name: x, data_files: a.csv}, {config_name: y, data_files: b.csv, default: true}"
    card = f"---\nconfigs: [{entries}]\n---\n"
    assert chosen(["a.csv", "b.csv"], card) == ("y", "train", ["b.csv"])


@pytest.mark.parametrize(
    "card",
    [
        "no card",
        "---\n[broken\n---\n",
        "---\n- a list\n---\n",
        "---\nconfigs: 3\ndataset_info: [x, {features: 3, splits: {name: {}}}]\n---\n",
        "---\ndataset_info: {features: [{name: label, dtype: {class_label: {names: {a: {}}}}}]}\n---\n",
        "---\na: !!python/object/apply:os.system [ls]\n---\n",
        "---\na: &a {k: 1}\nb: &b {<<: [*a, *a]}\nconfigs: {<<: [*b, *b]}\n---\n",
        "---\n" + "[" * 100_000 + "\n---\n",
        "---\n" + "- " * 100_000 + "\n---\n",
        "---\nx: &x [" + "y, " * 50 + "]\nconfigs: [{config_name: *x, data_files: [*x, *x]}]\n---\n",
    ],
)
def test_a_card_that_is_none_changes_nothing(card):
    found = chosen(["train.csv"], card)
    assert found in (("default", "train", ["train.csv"]), None)


def test_a_card_that_merges_keys_is_not_read():
    """A few lines of merged keys open to more than fits into memory."""
    card = "---\nbase: &base {config_name: x, data_files: a.csv}\nconfigs: [{<<: *base}]\n---\n"
    assert chosen(["a.csv", "train.csv"], card) == ("default", "train", ["train.csv"])


@pytest.mark.parametrize(
    ("file", "pattern", "expected"),
    [
        ("a/b.csv", "a/*.csv", True),
        ("a/b/c.csv", "a/*.csv", False),
        ("a/b/c.csv", "a/**", True),
        ("a/b/c.csv", "**/c.csv", True),
        ("c.csv", "**/c.csv", True),
        ("a/b/c.csv", "a/**/c.csv", True),
        ("data/train-00000-of-00001.parquet", "data/train-[0-9]*-of-*", True),
        ("data/train.csv", "data", False),
        ("a" * 60, "*a" * 30 + "b", False),
        ("/".join("a" * 40), "/".join(["**", "a"] * 6) + "/b", False),
    ],
)
def test_patterns(file, pattern, expected):
    assert matches(file, pattern) is expected


def test_the_converted_branch_has_a_folder_for_each_split():
    files = ["mrpc/train/0000.parquet", "mrpc/train/0001.parquet", "sst2/partial-train/0000.parquet", "README.md"]
    found = choose_converted(files, "lab/data", "mrpc", None)
    assert found is not None
    assert (found.split, found.files) == ("train", ("mrpc/train/0000.parquet", "mrpc/train/0001.parquet"))
    assert choose_converted(["README.md"], "lab/data", None, None) is None
    with pytest.raises(SelectionError, match="several configurations"):
        choose_converted(files, "lab/data", None, None)
