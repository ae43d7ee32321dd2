"""Files of texts: every format there and back, the oddities of real files, bad input, and few rows in memory."""

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import attnflow
from attnflow import Columns, SelectionError, TextsError, open_texts
from attnflow.corpus.bounds import SERVER, Bounds
from attnflow.corpus.drawing import Drawing
from attnflow.corpus.texts import open_published, open_sent
from attnflow.demo.texts import write_texts

TOP = Path(__file__).parent.parent


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(path: Path, columns: dict, **options) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def shown(texts):
    return [(text.text_a, text.text_b, text.label) for text in texts]


# --- the bundled pairs -----------------------------------------------------------------------------------------------


def test_the_bundled_pairs_open_without_torch_or_pyarrow():
    code = (
        "import sys, attnflow; texts = attnflow.open_texts('demo/pairs', rows=10); print(len(texts), texts.total, "
        "[name for name in ('torch', 'pyarrow', 'datasets', 'gradio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=2) == ["10", "2000", "[]\n"]


def test_the_bundled_pairs_are_those_of_the_generator(tmp_path):
    texts = open_texts("demo/pairs")
    assert (len(texts), texts.label_names) == (2000, ("supported", "unsupported"))
    assert {text.meta["phenomenon"] for text in texts} >= {"give_receive", "negation", "coreference"}
    assert not texts.left_out and not texts.notes
    write_texts(tmp_path / "few.csv", pairs=20)
    assert shown(open_texts(tmp_path / "few.csv")) == shown(texts[:20])


# --- there and back --------------------------------------------------------------------------------------------------

cells = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), min_size=1, max_size=30
).filter(str.strip)
records = st.lists(
    st.fixed_dictionaries(
        {
            "text_a": cells,
            "text_b": cells,
            "label": st.sampled_from(["yes", "no"]),
            "note": st.text("ab =+", max_size=5),
        }
    ),
    min_size=1,
    max_size=8,
)


def write_csv(path, rows, **options):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), **options)
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


WRITERS = {
    "x.csv": lambda path, rows: write_csv(path, rows, quoting=csv.QUOTE_ALL),
    "x.tsv": lambda path, rows: write_csv(path, rows, dialect="excel-tab", quoting=csv.QUOTE_ALL),
    "x.jsonl": write_jsonl,
    "x.json": lambda path, rows: path.write_text(json.dumps(rows, indent=1), encoding="utf-8"),
    "x.parquet": lambda path, rows: pq.write_table(pa.Table.from_pylist(rows), path),
}


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=records)
def test_what_is_written_is_read(name, rows, tmp_path):
    WRITERS[name](tmp_path / name, rows)
    texts = open_texts(tmp_path / name)
    assert shown(texts) == [(row["text_a"], row["text_b"], row["label"]) for row in rows]
    assert [text.meta["note"] for text in texts] == [row["note"] for row in rows]
    assert [text.guid for text in texts] == [str(number) for number in range(len(rows))]
    assert (texts.total, texts.drawn_from, dict(texts.left_out)) == (len(rows), len(rows), {})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        cells.filter(lambda text: "\n" not in text and "\t" not in text and not text.startswith("\ufeff")), min_size=1
    )
)
def test_text_has_one_text_a_line(lines, tmp_path):
    write(tmp_path / "x.txt", "\n".join(lines))
    assert [text.text_a for text in open_texts(tmp_path / "x.txt")] == lines


def test_the_same_seed_draws_the_same_rows_and_has_the_same_fingerprint(tmp_path):
    rows = [{"text": f"Text {n}.", "label": "yes" if n % 4 else "no"} for n in range(1000)]
    for name, writer in WRITERS.items():
        writer(tmp_path / name, rows)
    found = {name: open_texts(tmp_path / name, rows=100, seed=3) for name in WRITERS}
    assert len({texts.fingerprint for texts in found.values()}) == 1
    texts = found["x.csv"]
    assert (len(texts), texts.total, texts.drawn_from) == (100, 1000, 1000)
    assert [text.label for text in texts].count("no") == 25
    assert [int(text.guid) for text in texts] == sorted(int(text.guid) for text in texts)
    assert open_texts(tmp_path / "x.csv", rows=100, seed=4).fingerprint != texts.fingerprint
    assert open_texts(tmp_path / "x.csv", rows=5000, seed=4).fingerprint == open_texts(tmp_path / "x.csv").fingerprint


CONLLU = """# newdoc id = doc-1
# sent_id = one
# text = Anna didn't sing.
1\tAnna\tAnna\tPROPN\t_\t_\t4\tnsubj\t_\t_
2-3\tdidn't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdid\tdo\tAUX\t_\t_\t4\taux\t_\t_
3\tn't\tnot\tPART\t_\t_\t4\tadvmod\t_\t_
4\tsing\tsing\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No
5\t.\t.\tPUNCT\t_\t_\t4\tpunct\t_\t_

# sent_id = two
1\tPaul\tPaul\tPROPN\t_\t_\t3\tnsubj\t_\t_
2-3\tdidn't\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
2\tdid\tdo\tAUX\t_\t_\t0\troot\t_\t_
3\tn't\tnot\tPART\t_\t_\t2\tadvmod\t_\t_
3.1\tsing\tsing\tVERB\t_\t_\t_\t_\t_\t_
4\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_

1\tbroken line

"""


def test_sentences_of_conllu_are_texts(tmp_path):
    texts = open_texts(write(tmp_path / "x.conllu", CONLLU.rstrip("\n")))
    assert [(t.guid, t.text_a, t.meta["newdoc id"]) for t in texts] == [
        ("one", "Anna didn't sing.", "doc-1"),
        ("two", "Paul didn't.", "doc-1"),
    ]
    assert dict(texts.left_out) == {"that are no CoNLL-U": 1}


# --- real files are odd ----------------------------------------------------------------------------------------------

KEPT = [("NA", None, "007"), ("null", None, "08"), ("nan", None, "007")]
MRPC = b"\xc3\xaf\xc2\xbb\xc2\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\tA b .\tC d .\r\n"
"""Its byte order mark was encoded twice."""
QUOTES = 'sentence1\tsentence2\tlabel\n"No , " he said .\t"Yes\t1\nB\tC "D\t0\n'


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("mrpc.txt", MRPC, [("A b .", "C d .", "1")]),
        ("sick.txt", "pair_ID\tsentence_A\tsentence_B\n1\tA.\tB.\n", [("A.", "B.", None)]),
        ("bom.csv", "\ufefftext,label\nA,1\n", [("A", None, "1")]),
        ("utf16.tsv", "text\tlabel\nÄ\t1\n".encode("utf-16"), [("Ä", None, "1")]),
        ("latin.csv", "text,label\nCafé à la crème,1\n".encode("latin-1"), [("Café à la crème", None, "1")]),
        ("mixed.csv", b"text,label\nCaf\xe9,1\nCaf\xc3\xa9,0\n", [("Café", None, "1"), ("Café", None, "0")]),
        ("mac.csv", b"text,label\rA,1\rB,0\r", [("A", None, "1"), ("B", None, "0")]),
        ("semicolon.csv", "text;label\nA, b;1\n", [("A, b", None, "1")]),
        ("pipe.csv", "text|label\nA, b|1\n", [("A, b", None, "1")]),
        ("tabs.csv", "text\tlabel\nA, b\t1\n", [("A, b", None, "1")]),
        ("quotes.tsv", QUOTES, [('"No , " he said .', '"Yes', "1"), ("B", 'C "D', "0")]),
        ("swallow.tsv", 'text\tlabel\n"A\t1\nB"\t0\n', [('"A', None, "1"), ('B"', None, "0")]),
        ("lines.csv", 'text,label\n"A\nb, ""c""",1\nD,0\n', [('A\nb, "c"', None, "1"), ("D", None, "0")]),
        ("one.csv", "text\nA, b\nC\n", [("A, b", None, None), ("C", None, None)]),
        ("one-quoted.csv", 'text\n"A, b"\n', [("A, b", None, None)]),
        ("formula.csv", "text,label\n=1+1,@x\n", [("=1+1", None, "@x")]),
        ("kept.csv", "text,label\nNA,007\nnull,08\nnan,007\n", KEPT),
        ("separator.csv", "text,label\nA\u2028b\x1cc,1\n", [("A\u2028b\x1cc", None, "1")]),
        ("empty-lines.jsonl", '\n{"text": "A"}\n\n{"text": "B"}', [("A", None, None), ("B", None, None)]),
        ("words.jsonl", '{"tokens": ["A", "b"], "label": 1}\n', [("A b", None, "1")]),
        (
            "numbers.jsonl",
            '{"text": 12, "label": 0.5}\n{"text": 1.5, "label": 2}',
            [("12", None, 0.5), ("1.5", None, 2.0)],
        ),
        ("packed.csv.gz", gzip.compress(b"text,label\nA,1\n", mtime=0), [("A", None, "1")]),
    ],
)
def test_oddities_of_real_files(name, content, expected, tmp_path):
    assert shown(open_texts(write(tmp_path / name, content))) == expected


def test_what_cannot_be_used_is_left_out_and_counted(tmp_path):
    rows = [
        {"text": "A", "label": "x"},
        {"text": "", "label": "x"},
        {"text": "  ", "label": "x"},
        {"text": None, "label": "x"},
        {"text": float("nan"), "label": "x"},
        {"label": "x"},
        {"text": {"a": 1}, "label": "x"},
        {"text": "B" * 50, "label": None},
        {
            "text": "C",
            "label": None,
            "meta": {"deep": [1, 2]},
            "many": list(range(2000)),
            "year": 1999,
            "x": float("inf"),
        },
    ]
    write_jsonl(tmp_path / "x.jsonl", rows)
    with (tmp_path / "x.jsonl").open("a") as file:
        file.write("[1, 2]\nnothing\n")
    texts = open_texts(tmp_path / "x.jsonl", bounds=Bounds(characters=20))
    assert shown(texts) == [("A", None, "x"), ("C", None, None)]
    assert dict(texts.left_out) == {
        "without a text": 5,
        "whose text is no text": 1,
        "with a text of more than 20 characters": 1,
        "that are no JSON object": 2,
    }
    assert (texts.total, texts.drawn_from) == (11, 11)
    assert dict(texts[1].meta) == {"meta": '{"deep": [1, 2]}', "many": None, "year": 1999, "x": None}
    assert texts[1].guid == "8"


def test_rows_with_other_numbers_of_cells_are_left_out(tmp_path):
    texts = open_texts(write(tmp_path / "x.csv", "text,label\nA,1\nB\nC,1,2\n\nD,0\n" + "E,1\n" * 5))
    assert [text.guid for text in texts][:3] == ["0", "3", "4"]
    assert dict(texts.left_out) == {"with more or fewer cells than the header": 2}


def test_a_quote_that_is_never_closed_does_not_swallow_the_rest(tmp_path):
    content = "text,label\n" + "".join(f"Text {n},1\n" for n in range(1500)) + '"open,1\n' + "A b c d e f,1\n" * 30_000
    texts = open_texts(write(tmp_path / "x.csv", content))
    assert len(texts) > 15_000
    assert texts.left_out["too long, perhaps for a quote that is never closed"] == 1


def test_names_that_are_not_unique_are_told_apart(tmp_path):
    texts = open_texts(write(tmp_path / "x.csv", "id,text\na,A\nb,B\na,C\na#0,D\n,E\n"))
    assert [text.guid for text in texts] == ["a#0'", "b", "a#2", "a#0", "4"]
    assert "2 texts share their 'id' with another" in texts.notes[0]


def test_one_class_only_is_told(tmp_path):
    assert open_texts(write(tmp_path / "x.csv", "text,label\nA,1\nB,1\n")).notes == ("All texts have the label '1'.",)
    assert "No text has a label" in open_texts(write(tmp_path / "x.csv", "text,label\nA,\nB,-\n")).notes[0]


def test_columns_can_be_changed(tmp_path):
    path = write(tmp_path / "x.csv", "text,title,label,topic\nA,T,1,sport\n")
    assert open_texts(path).columns == Columns("text", None, "label")
    texts = open_texts(path, columns={"text_a": "title", "text_b": "text", "label": None})
    assert (shown(texts), dict(texts[0].meta)) == ([("T", "A", None)], {"label": "1", "topic": "sport"})


# --- Parquet ---------------------------------------------------------------------------------------------------------


def test_parquet_tells_the_names_of_classes_and_holds_no_pictures(tmp_path):
    info = {"info": {"features": {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}
    table = pa.table(
        {
            "text": ["A", None, "C"],
            "label": [1, 0, -1],
            "image": [{"bytes": b"x", "path": "a.png"}] * 3,
            "raw": [b"x"] * 3,
            "when": pa.array([0, 1, 2], pa.timestamp("s")),
            "spans": [[1, 2], [], None],
        }
    ).replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, tmp_path / "x.parquet")
    texts = open_texts(tmp_path / "x.parquet")
    assert (shown(texts), texts.label_names) == ([("A", None, "yes"), ("C", None, None)], ("no", "yes"))
    assert dict(texts[0].meta) == {"when": "1970-01-01 00:00:00", "spans": "[1, 2]"}
    assert dict(texts.left_out) == {"without a text": 1}


@pytest.mark.parametrize("store_schema", [True, False])
def test_one_long_text_that_is_repeated_takes_its_memory_once(store_schema, tmp_path):
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 500, pa.int32()), pa.array(["x" * 10**6]))
    path = parquet(tmp_path / "x.parquet", {"text": texts}, store_schema=store_schema)
    assert path.stat().st_size < 10**6
    before = pa.total_allocated_bytes()
    found = open_texts(path)
    assert len(found) == 500
    assert len({id(text.text_a) for text in found}) < 200
    assert pa.total_allocated_bytes() - before < 10**8


def test_row_groups_are_drawn_where_not_all_may_be_read(tmp_path):
    rows = [f"{n:06} " + "word " * 40 for n in range(20_000)]
    path = parquet(
        tmp_path / "x.parquet",
        {"text": rows, "label": ["a"] * 10_000 + ["b"] * 10_000},
        row_group_size=500,
        use_dictionary=False,
    )
    texts = open_texts(path, rows=200, seed=1, bounds=Bounds(size=10**6))
    assert texts.total == 20_000
    assert 1000 < texts.drawn_from < 8000
    assert {text.label for text in texts} == {"a", "b"}
    assert all(text.text_a.startswith(f"{int(text.guid):06}") for text in texts)
    assert f"drawn from {texts.drawn_from:,} of its rows" in texts.notes[0]
    assert open_texts(path, rows=200, seed=1, bounds=Bounds(size=10**6)).fingerprint == texts.fingerprint


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_few_rows_of_very_many_lines_are_held(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    with path.open("w") as file:
        file.write("id,text,label\n")
        file.writelines(f"{n},Text {n},{n % 3}\n" for n in range(200_000))
    most, offer = 0, Drawing.offer

    def watched(self, row, label=None):
        nonlocal most
        offer(self, row, label)
        most = max(most, self.held)

    monkeypatch.setattr(Drawing, "offer", watched)
    texts = open_texts(path, rows=500)
    assert (len(texts), texts.total) == (500, 200_000)
    assert most < 4000


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json", "x.txt", "x.csv.gz"])
def test_reading_ends_where_the_bound_is(name, tmp_path):
    rows = [{"text": f"Text {n}", "label": "yes"} for n in range(20_000)]
    if name == "x.csv.gz":
        write_csv(tmp_path / "x.csv", rows)
        write(tmp_path / name, gzip.compress((tmp_path / "x.csv").read_bytes()))
    elif name == "x.txt":
        write(tmp_path / name, "".join(f"{row['text']}\n" for row in rows))
    else:
        WRITERS[name](tmp_path / name, rows)
    texts = open_texts(tmp_path / name, bounds=Bounds(size=50_000))
    assert 1000 < len(texts) == texts.drawn_from < 10_000
    assert texts.total is None
    assert [text.text_a for text in texts] == [f"Text {n}" for n in range(len(texts))]  # the last is not cut
    assert not texts.left_out
    whole = open_texts(tmp_path / name, bounds=Bounds(rows=100))
    assert (len(whole), whole.total) == (100, 20_000)


def test_a_bomb_opens_no_further_than_the_bound(tmp_path):
    path = write(tmp_path / "x.txt.gz", gzip.compress(b"a" * 10**8))
    with pytest.raises(TextsError, match="no end of a line in the 1,000,000 bytes that are read"):
        open_texts(path, bounds=Bounds(size=10**6))
    for name, content in (("y.jsonl", '{"text": "A"}\n{"text": "%s"}\n{"text": "C"}\n'), ("y.txt", "A\n%s\nC\n")):
        texts = open_texts(write(tmp_path / name, content.replace("%s", "b" * (1 << 23))))
        assert [text.text_a for text in texts] == ["A", "C"]
        assert sum(texts.left_out.values()) == 1


def test_a_wide_table_is_refused(tmp_path):
    path = write(tmp_path / "x.csv", "text," + ",".join(f"c{n}" for n in range(600)) + "\nA" + ",1" * 600 + "\n")
    assert len(open_texts(path)[0].meta) == 600
    with pytest.raises(TextsError, match="601 columns; at most 500"):
        open_texts(path, bounds=SERVER)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "", "x.csv is empty; give a file with the names of its columns"),
        ("x.csv", "text,label\n", r"no row with a text in 'text' \(it is empty\)"),
        ("x.csv", "text,label\n,1\n", r"no row with a text in 'text' \(1 without a text\)"),
        ("x.csv", "a,b\n1,2\n", "no column that is known to hold texts; it has 'a', 'b'. Say which one"),
        ("x.csv", b"\x89PNG\r\n\x1a\n\0\0", "x.csv is no text but a binary file"),
        ("x.csv", b"PK\3\4abc", "x.csv is a ZIP file or a workbook; save it as CSV"),
        ("x.csv", b"PAR1abc", "x.csv is a Parquet file by another name; call it x.parquet"),
        ("x.jsonl", "", "x.jsonl is empty"),
        ("x.jsonl", "not json\n", "x.jsonl holds no JSON objects"),
        ("x.json", '{"data": [\n{"text": "A"}]}', "x.json holds no JSON objects"),
        ("x.json", "[" * 100_000, "x.json holds no JSON objects"),
        ("x.json", '["a", "b"]', "x.json holds no JSON objects"),
        ("x.parquet", b"PAR1 broken", "x.parquet is no Parquet file, or a broken one"),
        ("x.parquet", b"", "x.parquet is no Parquet file, or a broken one"),
        ("x.conllu", "text\nA\n", "x.conllu is no CoNLL-U file"),
        ("x.txt", "\n\n", "x.txt is empty"),
        ("x.csv.gz", b"\x1f\x8bbroken", "x.csv.gz is packed by gzip and broken"),
        ("x.zip", b"PK\3\4", "x.zip is packed; unpack it"),
        ("x.csv.zst", b"abc", "x.csv.zst is packed; unpack it"),
        ("x.xlsx", b"PK\3\4", "x.xlsx has no ending that tells its format; give CSV"),
        ("x", "text\nA\n", "x has no ending that tells its format"),
    ],
)
def test_bad_files_are_told_in_one_sentence(name, content, message, tmp_path):
    with pytest.raises(TextsError, match=message) as error:
        open_texts(write(tmp_path / name, content))
    assert "\n" not in str(error.value) and str(tmp_path) not in str(error.value)


def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(TextsError, match=r"There is no file nothing.csv"):
        open_texts(tmp_path / "nothing.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TextsError, match=r"folder.csv is a folder; give one file"):
        open_texts(f"{tmp_path}/folder.csv")
    with pytest.raises(TextsError, match="int is nothing that texts can be read from"):
        open_texts(3)
    with pytest.raises(TextsError, match="list is empty, or its rows are no mappings"):
        open_texts([1, 2])
    with pytest.raises(SelectionError, match="no configurations, splits or revisions"):
        open_texts("demo/pairs", split="train")


@pytest.mark.parametrize(
    "wrong", [{"rows": 0}, {"rows": -1}, {"rows": "5"}, {"rows": True}, {"rows": 1.5}, {"seed": -1}]
)
def test_numbers_that_are_none_are_told(wrong):
    with pytest.raises(SelectionError, match=f"{next(iter(wrong))} is .*; give a whole number of at least"):
        open_texts("demo/pairs", **wrong)


def test_a_name_can_be_kept_from_meaning_a_file(tmp_path, monkeypatch):
    path = write(tmp_path / "x.csv", "text\nA\n")
    monkeypatch.chdir(tmp_path)
    assert (
        len(open_texts("x.csv"))
        == len(open_sent("x.csv", path.read_bytes(), bounds=Bounds()))
        == len(open_texts(str(path)))
        == 1
    )
    for ref in (str(path), "./x.csv", "~/x.csv", "../x.csv"):
        with pytest.raises(TextsError, match="not the name of a data set"):
            open_published(ref)
    assert len(open_published("demo/pairs", rows=5)) == 5


def test_the_names_of_the_library_are_there():
    assert attnflow.open_texts is open_texts


def test_other_data_sets_can_be_opened():
    texts = open_texts([{"text": "A", "label": 0}, {"text": "B", "label": 1}], columns={"label": None})
    assert shown(texts) == [("A", None, None), ("B", None, None)]
