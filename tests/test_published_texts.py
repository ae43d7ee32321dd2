"""Data sets of a Hub: read at one commit, in parts, with the visitor's token alone, every refusal in one sentence."""

import json
import os
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

import attnflow
from attnflow import SelectionError, TextsError, open_texts
from attnflow.corpus.bounds import SERVER, Bounds
from attnflow.progress import ending
from tests.conftest import SERVER_TOKEN

pytestmark = pytest.mark.filterwarnings("ignore:Cannot (locate|pickle)")  # of dill, which datasets uses

FEATURES = datasets.Features(
    {
        "idx": datasets.Value("int64"),
        "sentence1": datasets.Value("string"),
        "sentence2": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["not_equivalent", "equivalent"]),
    }
)


def pairs(split: str, rows: int) -> datasets.Dataset:
    columns = {
        "idx": [*range(rows)],
        "sentence1": [f"{split} {n}." for n in range(rows)],
        "sentence2": [f"Text {n}." for n in range(rows)],
        "label": [int(n % 3 == 0) for n in range(rows)],
    }
    return datasets.Dataset.from_dict(columns, features=FEATURES)


@pytest.fixture(autouse=True)
def fresh(empty_caches, monkeypatch):
    """Each test has its own caches; the process has a token that must never be sent."""


def publish(hub, tmp_path: Path, name: str, files: dict[str, str | bytes | datasets.Dataset | pa.Table], **how) -> str:
    folder = tmp_path / name
    for file, content in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, datasets.Dataset):
            content.to_parquet(path)
        elif isinstance(content, pa.Table):
            pq.write_table(content, path, row_group_size=1000)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return hub.add(f"datasets/lab/{name}", folder, **how)


CARD = """---
configs:
- config_name: pairs
  data_files:
  - {split: train, path: pairs/train-*}
  - {split: validation, path: pairs/validation.parquet}
- config_name: single
  data_files: single.csv
dataset_info:
- config_name: single
  features:
  - name: text
    dtype: string
  - name: label
    dtype: {class_label: {names: {'0': bad, '1': good}}}
---
"""


def glue(hub, tmp_path, **how):
    files = {
        "README.md": CARD,
        "pairs/train-00000-of-00002.parquet": pairs("a", 30),
        "pairs/train-00001-of-00002.parquet": pairs("b", 30),
        "pairs/validation.parquet": pairs("c", 12),
        "single.csv": "text,label\nGood.,1\nBad.,0\n",
    }
    return publish(hub, tmp_path, "glue", files, **how)


def requests_of(hub, start: int):
    return [request for request in hub.requests[start:] if "agent-harnesses" not in request.path]


def test_a_split_is_read_at_one_commit_and_nothing_is_kept(hub, tmp_path):
    sha = glue(hub, tmp_path)
    start = len(hub.requests)
    texts = open_texts("lab/glue", name="pairs", split="train")
    assert texts.source == f"lab/glue@{sha} (pairs, train)"
    assert (len(texts), texts.total, texts.label_names) == (60, 60, ("not_equivalent", "equivalent"))
    assert (texts[0].text_a, texts[0].text_b, texts[0].label) == ("a 0.", "Text 0.", "equivalent")
    assert texts.columns.guid == "idx" and texts[59].guid == "29#59" and texts[59].text_a == "b 29."
    asked = requests_of(hub, start)
    assert all(sha in request.path for request in asked if "/resolve/" in request.path)
    assert all(request.authorization is None for request in asked)
    assert not [path for path in Path(constants.HF_HUB_CACHE).rglob("*") if path.is_file()]


def test_what_is_asked_for_can_be_left_out(hub, tmp_path):
    sha = glue(hub, tmp_path)
    assert open_texts("lab/glue", name="pairs").source == f"lab/glue@{sha} (pairs, validation)"
    texts = open_texts("https://huggingface.co/datasets/lab/glue/viewer/single/train", name="single")
    assert [(text.text_a, text.label) for text in texts] == [("Good.", "good"), ("Bad.", "bad")]
    assert open_texts(f"lab/glue@{sha}", name="single").fingerprint == texts.fingerprint
    hub.rename("datasets/lab/glue", "datasets/lab/new")
    assert open_texts("lab/glue", name="single").source == f"lab/new@{sha} (single, train)"


@pytest.mark.parametrize(("name", "split"), [("glue", "train"), ("glue", "validation"), ("plain", "test")])
def test_it_is_what_the_datasets_library_reads(name, split, hub, tmp_path, monkeypatch):
    glue(hub, tmp_path)
    label = "{name: label, dtype: {class_label: {names: [bad, good]}}}"
    card = f"---\ndataset_info: {{features: [{{name: text, dtype: string}}, {label}]}}\n---\n"
    files = {
        "my-test.csv": "text,label\nGood.,1\nBad.,0\n",
        "training 1.csv": "text,label\nWell.,0\n",
        "README.md": card,
    }
    publish(hub, tmp_path, "plain", files)
    name, config = f"lab/{name}", "pairs" if name == "glue" else None
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
    loaded = datasets.load_dataset(name, config, split=split, token=False, cache_dir=str(tmp_path / "cache"))
    ours, theirs = open_texts(name, name=config, split=split), open_texts(loaded)
    assert (ours.fingerprint, ours.label_names) == (theirs.fingerprint, theirs.label_names)
    streamed = datasets.load_dataset(name, config, split=split, token=False, streaming=True)
    assert open_texts(streamed).fingerprint == ours.fingerprint
    both = datasets.DatasetDict({"x": loaded})
    assert open_texts(both, split="x").fingerprint == ours.fingerprint
    with pytest.raises(SelectionError, match="split is 'None'; give one of those that there are: 'x'"):
        open_texts(both)


def downloaded(hub, start: int) -> int:
    total = 0
    for request in requests_of(hub, start):
        if request.range:
            first, last = request.range.removeprefix("bytes=").split("-")
            total += int(last) - int(first) + 1
    return total


def test_few_rows_need_no_full_download(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("attnflow.corpus.texts._ENOUGH", 10**6)
    monkeypatch.setattr("attnflow.corpus.texts._ENOUGH_PER_ROW", 2_000)
    rows = 20_000
    words = [
        f"{n:05} {n * 7919 % 10007} " + "".join(chr(97 + (n * k) % 26) for k in range(1, 300)) for n in range(rows)
    ]
    table = pa.table({"text": words, "label": ["a"] * (rows // 2) + ["b"] * (rows // 2)})
    files: dict = {"x.parquet": table, "y/x.csv": "text,label\n" + "".join(f"{word},a\n" for word in words)}
    publish(hub, tmp_path, "large", {"x.parquet": files["x.parquet"]})
    publish(hub, tmp_path, "long", {"x.csv": files["y/x.csv"]})
    for name, kinds, total in (("large", {"a", "b"}, rows), ("long", {"a"}, None)):
        start = len(hub.requests)
        texts = open_texts(f"lab/{name}", rows=500, seed=1)
        assert (len(texts), texts.total) == (500, total)
        assert {text.label for text in texts} == kinds
        assert 500 < texts.drawn_from < rows / 2
        assert downloaded(hub, start) < 2.5e6  # of 6 MB
        assert open_texts(f"lab/{name}", rows=500, seed=1).fingerprint == texts.fingerprint
        assert f"{int(texts[7].guid):05}" == texts[7].text_a[:5]
    assert len(open_texts("lab/long", bounds=Bounds(rows=100, size=10**6))) == 100


def test_the_server_bounds_what_is_read(hub, tmp_path):
    publish(hub, tmp_path, "x", {"x.csv": "text\n" + "Text.\n" * 1000})
    assert len(open_texts("lab/x", bounds=SERVER)) == 1000


def test_a_survey_reads_texts_by_their_name_and_private_ones_with_their_token(hub, tmp_path):
    publish(hub, tmp_path, "mine", {"x.csv": "text\nA secret.\n"}, private_to="hf_owner")
    found = attnflow.survey("demo/finetuned", "lab/mine", token="hf_owner")
    assert len(found) == 1 and found.settings.texts == open_texts("lab/mine", token="hf_owner").fingerprint
    with pytest.raises(TextsError, match="lab/mine"):
        attnflow.survey("demo/finetuned", "lab/mine")


def test_private_and_gated_data_sets_are_read_with_the_visitors_token_alone(hub, tmp_path):
    publish(hub, tmp_path, "private", {"x.csv": "text\nSecret.\n"}, private_to="hf_owner")
    publish(hub, tmp_path, "gated", {"x.csv": "text\nGated.\n"}, gated="manual", allowed_tokens=["hf_member"])
    assert os.environ["HF_TOKEN"] == SERVER_TOKEN
    assert open_texts("lab/private", token="hf_owner")[0].text_a == "Secret."
    assert open_texts("lab/gated", token="hf_member")[0].text_a == "Gated."
    for name, token, message in (
        ("private", None, "There is no public data set lab/private on the Hub; check the spelling, or sign in"),
        ("private", "hf_other", "There is no data set lab/private on the Hub that you may read"),
        ("gated", None, "lab/gated is gated: .* or choose an open data set"),
        ("gated", "hf_other", "lab/gated is gated"),
    ):
        with pytest.raises(TextsError, match=message):
            open_texts(f"lab/{name}", token=token)
    hub.stop()
    try:
        with pytest.raises(TextsError, match="The Hugging Face Hub cannot be reached, so lab/private cannot be read"):
            open_texts("lab/private", token="hf_owner")
    finally:
        hub.start()


def test_a_script_is_not_run_but_what_the_hub_made_of_it_is_read(hub, tmp_path):
    script = {"script.py": f"open({str(tmp_path / 'ran')!r}, 'w')", "README.md": "---\n---\n"}
    publish(hub, tmp_path, "script", script)
    with pytest.raises(TextsError, match="lab/script is read by a script of its own, and no code of a data set is run"):
        open_texts("lab/script")
    made = publish(
        hub, tmp_path / "made", "script", {"default/train/0000.parquet": pairs("s", 5)}, branch="refs/convert/parquet"
    )
    texts = open_texts("lab/script")
    assert (len(texts), texts.source) == (5, f"lab/script@{made} (default, train)")
    assert texts.notes[0] == "Read from the Parquet files that the Hub made of the data set (refs/convert/parquet)."
    with pytest.raises(TextsError, match="script of its own"):
        open_texts("lab/script", revision="main")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("files", "ref", "how", "error", "message"),
    [
        ({"x.csv": "text\nA\n"}, "lab/nothing", {}, TextsError, "There is no public data set lab/nothing on the Hub"),
        ({"x.csv": "text\nA\n"}, "lab/bad", {"revision": "v9"}, TextsError, "lab/bad has no revision 'v9'"),
        (
            {"x.csv": "text\nA\n"},
            "lab/bad",
            {"name": "x"},
            SelectionError,
            "lab/bad has no configuration 'x'; it has 'default'",
        ),
        ({"x.csv": "text\nA\n"}, "lab/bad", {"split": "x"}, SelectionError, "has no split 'x'; it has 'train'"),
        ({"x.csv": "text\nA\n"}, "lab/bad/folder", {}, TextsError, "lab/bad has no folder folder"),
        ({"x.png": "A"}, "lab/bad", {}, TextsError, "lab/bad has no file that can be read here"),
        ({"x.zip": "A"}, "lab/bad", {}, TextsError, "lab/bad has no file that can be read here"),
        (
            {"x.csv": "a,b\n1,2\n"},
            "lab/bad",
            {},
            TextsError,
            "has no column that is known to hold texts; it has 'a', 'b'",
        ),
        ({"x.parquet": b"PAR1 broken"}, "lab/bad", {}, TextsError, "is no Parquet file, or a broken one"),
        ({"x.csv": b"\0\0\0"}, "lab/bad", {}, TextsError, r"lab/bad \(default, train\) is no text but a binary file"),
        ({"x.csv": "text\nA\n"}, "../etc", {}, TextsError, "'../etc' is not|There is no file"),
        (
            {"x.csv": "text\nA\n"},
            "a b",
            {},
            TextsError,
            "'a b' is not the name of a data set; give a Hub id such as nyu-mll",
        ),
        ({"x.csv": "text\nA\n"}, "https://huggingface.co/lab/model", {}, TextsError, "is no page of a data set"),
        ({"x.csv": "text\nA\n"}, "lab/bad", {"revision": "../x"}, TextsError, "is not a revision"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(files, ref, how, error, message, hub, tmp_path):
    publish(hub, tmp_path, "bad", files)
    with pytest.raises(error, match=message) as told:
        open_texts(ref, **how)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"path": "/api", "status": 500}, r"The Hub answered with an error \(500\) for lab/x; try again in a minute"),
        ({"path": "x.csv", "status": 503}, r"The Hub answered with an error \(503\) for lab/x"),
        ({"path": "x.csv", "cut_after": 10}, "cannot be reached|broke off"),
        ({"path": "x.csv", "status": 404}, "no public data set|not there any more"),
    ],
)
def test_a_hub_with_a_fault_is_told(fault, message, hub, tmp_path):
    publish(hub, tmp_path, "x", {"x.csv": "text\n" + "Text.\n" * 1000})
    hub.fail("datasets/lab/x", **fault)
    with pytest.raises(TextsError, match=message):
        open_texts("lab/x")


def test_a_fault_that_passes_is_passed_over(hub, tmp_path):
    publish(hub, tmp_path, "x", {"x.csv": "text\n" + "Text.\n" * 1000})
    hub.fail("datasets/lab/x", path="x.csv", status=503, times=2)
    assert len(open_texts("lab/x")) == 1000


def test_a_card_leads_nowhere_else(hub, tmp_path):
    """The datasets library opens whatever file a cell names, if a card calls it a picture; here nothing is opened."""
    secret = tmp_path / "secret.csv"
    secret.write_text("text\nThe server's own.\n")
    for card in (f"configs: [{{data_files: {secret}}}]", f"configs: [{{data_files: '{hub.url}/x.csv'}}]"):
        publish(hub, tmp_path, "evil", {"x.csv": "text\nA\n", "README.md": f"---\n{card}\n---\n"})
        with pytest.raises(TextsError, match="no file that can be read here"):
            open_texts("lab/evil")
    card = "---\ndataset_info: {features: [{name: text, dtype: image}]}\n---\n"
    publish(hub, tmp_path, "picture", {"x.csv": f"text\n{secret}\n", "README.md": card})
    assert open_texts("lab/picture")[0].text_a == str(secret)


def test_whoever_waits_no_more_ends_the_reading(hub, tmp_path):
    publish(hub, tmp_path, "x", {"x.csv": "text\n" + "Text.\n" * 1000})

    def gone():
        raise RuntimeError("gone")

    with ending(gone), pytest.raises(RuntimeError, match="gone"):
        open_texts("lab/x")


def test_classes_may_be_told_by_the_file_or_by_the_card(hub, tmp_path):
    lines = "".join(json.dumps({"text": f"Text {n}.", "label": n % 2}) + "\n" for n in range(4))
    card = "---\ndataset_info: {features: [{name: label, dtype: {class_label: {names: ['no', 'yes']}}}]}\n---\n"
    publish(hub, tmp_path, "x", {"train.jsonl": lines, "README.md": card})
    texts = open_texts("lab/x")
    assert ([text.label for text in texts], texts.label_names) == (["no", "yes", "no", "yes"], ("no", "yes"))
