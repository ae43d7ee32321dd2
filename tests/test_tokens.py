"""Words are cut by the text alone, and every character of a text belongs to exactly one of them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnflow.records.words import join_words, piece_span, word_of_piece, word_spans

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(
    "ab'’.,;3 -_\u200d\u00ad\ufe0f\u20e3😀🏽🇩🇪é\u0301中かカｶﾞไทยहिन्ीم\u0651", max_size=30
)


word_spans("ไทย")  # reads Unicode's data, which takes longer than an example may


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It isn't far.", ["It", "isn't", "far", "."]),
        ("the dogs' tails", ["the", "dogs", "'", "tails"]),
        ("rock ’n’ roll, don’t", ["rock", "’", "n", "’", "roll", ",", "don’t"]),
        ("well-known", ["well", "-", "known"]),
        ("3.5 and 1,000.", ["3.5", "and", "1,000", "."]),
        ("cafe\u0301 naïve", ["cafe\u0301", "naïve"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("مُحَمَّد هنا", ["مُحَمَّد", "هنا"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("我喜欢书。", ["我", "喜欢", "书", "。"]),
        ("東京タワーへ行く", ["東京タワー", "へ", "行く"]),
        ("カタカナ ｶﾀｶﾅ ﾃﾞｰﾀ", ["カタカナ", "ｶﾀｶﾅ", "ﾃﾞｰﾀ"]),
        ("ABC漢字 12月", ["ABC", "漢字", "12", "月"]),
        ("co\u00adope\u00adrate a\u2060b", ["co\u00adope\u00adrate", "a\u2060b"]),
        ("1️⃣ #️⃣ ❤️‍🔥 ☎️", ["1️⃣", "#️⃣", "❤️‍🔥", "☎️"]),
        (
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f!",
            ["🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "!"],
        ),
        ("1,000.50 1.000,50 1’000 １，０００ ١٬٠٠٠٫٥", ["1,000.50", "1.000,50", "1’000", "１，０００", "١٬٠٠٠٫٥"]),
        ("the 1990’s, é 1990's", ["the", "1990’s", ",", "é", "1990's"]),
        ("1'000 1990's 'tis foo_bar", ["1'000", "1990's", "'", "tis", "foo_bar"]),
        ("e.g. the end.The é end.The", [*"e.g.", "the", "end", ".", "The", "é", "end", ".", "The"]),
        ('col·legi צה"ל עו״ד O‘Neil', ["col·legi", 'צה"ל', "עו״ד", "O‘Neil"]),
        ("http://a.example/b?c=é", ["http", ":", "/", "/", "a", ".", "example", "/", "b", "?", "c", "=", "é"]),
        ("안녕 세상", ["안녕", "세상"]),
        ("👩‍👩‍👧 👍🏽 🇩🇪🇫🇷", ["👩‍👩‍👧", "👍🏽", "🇩🇪", "🇫🇷"]),
        ("</s> ${x}", ["<", "/", "s", ">", "$", "{", "x", "}"]),
        ("ผมไปโรงเรียนทุกวัน", ["ผม", "ไป", "โรงเรียน", "ทุก", "วัน"]),
        ("ABCไทย ๑๒๓.", ["ABC", "ไทย", "๑๒๓", "."]),
        ("ຂ້ອຍໄປໂຮງຮຽນ", ["ຂ້ອຍ", "ໄປ", "ໂຮງຮຽນ"]),
        ("ខ្ញុំទៅសាលារៀន។", ["ខ្ញុំ", "ទៅ", "សាលារៀន", "។"]),
        ("ကျွန်တော်ကျောင်းသွားတယ်။", ["ကျွန်တော်", "ကျောင်း", "သွား", "တယ်", "။"]),
        ("ᨲ᩠ᩅᩫᩣᨾᩮᩬᩥᨦ", ["ᨲ᩠ᩅᩫᩣ", "ᨾᩮᩬᩥ", "ᨦ"]),  # no dictionary: grapheme clusters
        ("ꦱꦸꦒꦼꦁ", ["ꦱꦸ", "ꦒꦼꦁ"]),
        ("  \n\t ", []),
    ],
)
def test_words_are_what_a_reader_sees(text, expected):
    assert words(text) == expected


@given(TEXTS)
def test_every_character_but_white_space_belongs_to_exactly_one_word(text):
    covered = [position for start, end in word_spans(text) for position in range(start, end)]
    assert covered == sorted(set(covered))
    assert {i for i, c in enumerate(text) if not c.isspace()} == set(covered)


@given(TEXTS)
def test_no_word_begins_with_a_mark_that_follows_a_letter(text):
    for start, _ in word_spans(text):
        assert not (start and text[start - 1].isalnum() and unicodedata.category(text[start]).startswith("M"))


@given(TEXTS, st.lists(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), min_size=1, max_size=8), max_size=3))
def test_joined_words_are_crossed_by_no_piece_and_left_without_one_by_no_tokenizer(text, cuts):
    spans = word_spans(text)
    tokenizations = [
        [piece_span(text, "x", (min(start, len(text)), min(start + size, len(text)))) for start, size in cut]
        for cut in cuts
    ]
    joined = join_words(spans, *tokenizations)
    if not all(any(start < end for start, end in pieces) for pieces in tokenizations):
        assert joined == []
        return
    assert joined == sorted(joined)
    assert all(left[1] <= right[0] for left, right in zip(joined, joined[1:], strict=False))
    for pieces in tokenizations:
        shown = [piece for piece in pieces if piece[0] < piece[1]]
        for start, end in shown:
            assert sum(left < end and right > start for left, right in joined) == 1
        for left, right in joined:
            assert any(left < end and right > start for start, end in shown)
    if spans:
        assert (joined[0][0], joined[-1][1]) == (spans[0][0], spans[-1][1])


def test_a_piece_belongs_to_the_word_it_shows_and_a_lone_space_mark_to_the_next():
    spans = word_spans("an old book")
    assert [word_of_piece(spans, span) for span in [(0, 2), (3, 5), (5, 6), (2, 2), (7, 7), (11, 11)]] == [
        0,
        1,
        1,
        1,
        2,
        2,
    ]


def test_a_piece_shows_no_white_space():
    assert piece_span("an old", "Ġold", (2, 6)) == (3, 6)
    assert piece_span("an old", "▁", (3, 4)) == (3, 3)
    assert piece_span("an old", "Ġ", (2, 3)) == (3, 3)
    assert piece_span("  ", "ĠĠ", (0, 2)) == (2, 2)


@given(st.text(st.sampled_from("abZ09 '.,;:-_\t\n\x1c\x7f^\"\0"), max_size=20))
def test_words_of_plain_letters_are_those_that_the_rules_for_all_letters_find(text):
    assert word_spans(text) == word_spans(f"{text} é")[:-1]
