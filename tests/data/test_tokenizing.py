"""Token numbers: separators, cuts and windows, against the tokenizers' own encodings."""

from __future__ import annotations

import functools
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from tokenizers.processors import TemplateProcessing

from headstart.data.modalities import Extent
from headstart.data.tokenizing import (
    CHARACTERS,
    CHUNKS,
    MODES,
    OVERLAP,
    Reading,
    longest_first,
)
from headstart.data.tokenizing import reading as reading_of
from headstart.sources.catalogue import sources
from headstart.sources.fetching import fetch

TEMPLATES = {
    "bert": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "roberta": ("<s> $A </s>", "<s> $A </s> </s> $B:1 </s>:1"),
    "t5": ("$A </s>", "$A </s> $B:1 </s>:1"),
    "llama": ("<s> $A", "<s> $A <s>:1 $B:1"),
}
SPECIAL = ("[CLS]", "[SEP]", "<s>", "</s>")
FIRST = 1 + len(SPECIAL) + 1
"""Number of the word w0."""
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
WORDS = st.lists(st.integers(0, 59), max_size=30).map(lambda ws: " ".join(f"w{w}" for w in ws))


def definition(name: str) -> str:
    """Return a tokenizer of 60 words with the special tokens of a kind of model."""
    if name == "bytes":
        made = Tokenizer(BPE({b: i for i, b in enumerate(BYTES)}, []))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        return made.to_str()
    words = ("[UNK]", *SPECIAL, "\n", *(f"w{i}" for i in range(60)))
    vocabulary = {word: i for i, word in enumerate(words)}
    made = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    if name in TEMPLATES:
        single, pair = TEMPLATES[name]
        numbered = [(token, vocabulary[token]) for token in SPECIAL]
        made.post_processor = TemplateProcessing(single, pair, special_tokens=numbered)
    return made.to_str()


@pytest.fixture(scope="module")
def minilm() -> str:
    """The tokenizer of a real source."""
    return (fetch(sources.get("bundled/minilm")) / "tokenizer.json").read_text()


def own(definition: str, length: int, *texts: str) -> list[int]:
    """Return what the tokenizer itself makes of one text, or of two."""
    tokenizer = parsed(definition)
    tokenizer.enable_truncation(length)
    tokenizer.no_padding()
    return tokenizer.encode(*texts).ids


@functools.cache
def parsed(definition: str) -> Tokenizer:
    return Tokenizer.from_str(definition)


def words(*numbers: int) -> list[int]:
    return [FIRST + number for number in numbers]


@pytest.mark.parametrize("name", [*TEMPLATES, "plain", "bytes"])
@given(text=WORDS, length=st.integers(4, 20))
def test_one_text_is_what_the_tokenizer_itself_makes_of_it(name, text, length):
    made = definition(name)
    assert Reading(made, length).rows([(text,)]) == [[own(made, length, text)]]


@pytest.mark.parametrize("name", TEMPLATES)
@given(texts=st.tuples(WORDS, WORDS), length=st.integers(6, 40))
def test_two_texts_are_what_the_tokenizer_itself_makes_of_them(name, texts, length):
    made = definition(name)
    assert Reading(made, length).rows([texts]) == [[own(made, length, *texts)]]


TEXT = st.text(st.characters(codec="utf-8"), max_size=60).map(str.strip)


@given(text=TEXT, other=TEXT)
def test_a_real_tokenizer_s_own_encoding_is_met(minilm, text, other):
    reading = reading_of(minilm, 16)
    assert reading.rows([(text,)]) == [[own(minilm, 16, text)]]
    assert reading.rows([(text, other)]) == [[own(minilm, 16, text, other)]]


@given(sizes=st.lists(st.integers(0, 30), min_size=1, max_size=5), room=st.integers(0, 90))
def test_the_longest_is_cut_first_token_by_token(sizes, room):
    left = list(sizes)
    while sum(left) > room:
        longest = max(range(len(left)), key=lambda i: (left[i], -sizes[i], -i))
        left[longest] -= 1
    assert longest_first(sizes, room) == left


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [*TEMPLATES, "plain"])
@given(cell=st.lists(WORDS, min_size=1, max_size=4).map(tuple), length=st.integers(1, 40))
def test_rows_fit_the_window_with_every_separator_in_its_place(name, mode, cell, length):
    reading = Reading(definition(name), length, mode)
    [rows] = reading.rows([cell])
    assert 1 <= len(rows) <= (CHUNKS if mode == "chunks" else 1)
    assert {len(row) for row in rows} == {len(rows[0])} and len(rows[0]) <= length
    before, between, after = reading._single if len(cell) == 1 else reading._several
    if len(before) + len(between) * (len(cell) - 1) + len(after) > length:
        return
    for row in rows:
        expected = [*before]
        at = len(before)
        for i, text in enumerate(cell):
            expected += between if i else []
            at += len(between) if i else 0
            taken = 0
            while at + taken < len(row) and row[at + taken] >= FIRST:
                taken += 1
            numbers = words(*(int(w[1:]) for w in text.split()))
            assert all(n in numbers for n in row[at : at + taken])
            expected += row[at : at + taken]
            at += taken
        assert row == expected + after


def test_what_stands_between_texts_without_a_template_is_a_newline():
    plain = definition("plain")
    assert Reading(plain, 9).rows([("w1", "w2")]) == [[[*words(1), FIRST - 1, *words(2)]]]


def test_an_empty_text_of_several_keeps_its_place():
    reading = Reading(definition("bert"), 9)
    cls, sep = 1, 2
    assert reading.rows([("", "w2"), ("w1", "")]) == [
        [[cls, sep, *words(2), sep]],
        [[cls, *words(1), sep, sep]],
    ]


def test_head_and_tail_are_the_halves_of_the_window():
    text = " ".join(f"w{i}" for i in range(20))
    reading = Reading(definition("bert"), 9, "head-tail")
    assert reading.rows([(text,)]) == [[[1, *words(0, 1, 2, 3, 17, 18, 19), 2]]]
    assert reading.rows([("w1 w2",)]) == [[[1, *words(1, 2), 2]]]
    assert reading.rows([(text, "w1")]) == [[[1, *words(0, 1, 2, 18, 19), 2, *words(1), 2]]]


def test_chunks_reach_from_the_beginning_to_the_end_at_even_distances():
    text = " ".join(f"w{i}" for i in range(20))
    reading = Reading(definition("plain"), 8, "chunks")
    [rows] = reading.rows([(text,)])
    assert rows == [words(*range(start, start + 8)) for start in (0, 6, 12)]
    [pair] = reading.rows([(text, "w1 w2")])
    newline = FIRST - 1
    assert pair[0] == [*words(0, 1, 2, 3, 4), newline, *words(1, 2)]
    assert pair[-1] == [*words(15, 16, 17, 18, 19), newline, *words(1, 2)]
    assert reading.rows([("w1 w2",)]) == [[words(1, 2)]]


@given(size=st.integers(1, 60), length=st.integers(1, 20))
def test_chunks_leave_nothing_out_unless_they_are_the_most_there_may_be(size, length):
    text = " ".join(f"w{i}" for i in range(size))
    [rows] = Reading(definition("plain"), length, "chunks").rows([(text,)])
    assert rows[0][0] == words(0)[0] and rows[-1][-1] == words(size - 1)[0]
    if len(rows) < CHUNKS:
        assert set().union(*rows) == set(words(*range(size)))
        shared = [len(set(one) & set(two)) for one, two in pairwise(rows)]
        assert all(n >= length // OVERLAP for n in shared)


@pytest.mark.parametrize(("mode", "parts"), [("truncate", 1), ("head-tail", 2), ("chunks", 8)])
def test_of_a_megabyte_only_what_can_reach_the_window_is_tokenized(monkeypatch, mode, parts):
    seen = []
    real = Reading._encoded

    def spy(reading, texts):
        seen.extend(map(len, texts))
        return real(reading, texts)

    reading = Reading(definition("plain"), 10, mode)
    monkeypatch.setattr(Reading, "_encoded", spy)
    text = "w1 " * 170_000 + "w2 " * 170_000 + "w3"
    [rows] = reading.rows([(text,)])
    assert seen == [10 * CHARACTERS] * parts
    assert rows[0][0] == words(1)[0] and len(rows[0]) == 10
    assert rows[-1][-1] == words({"truncate": 1}.get(mode, 3))[0]
    [extent] = reading.extents([(text,)])
    assert seen[-1] == 10_000
    assert extent.size == pytest.approx(340_001, rel=0.001)
    assert extent.read == (80 if mode == "chunks" else 10)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("truncate", [(20, 7, 0), (2, 2, 1), (22, 6, 0)]),
        ("head-tail", [(20, 7, 0), (2, 2, 1), (22, 6, 0)]),
        ("chunks", [(20, 20, 0), (2, 2, 1), (22, 22, 0)]),
    ],
)
def test_extents_count_what_is_read_and_what_is_unknown(mode, expected):
    text = " ".join(f"w{i}" for i in range(20))
    found = Reading(definition("bert"), 9, mode).extents([(text,), ("w1 who",), (text, "w1 w2")])
    assert found == [Extent(*numbers) for numbers in expected]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("Shares fell sharply, said the BBC's analyst; it's a 3% drop since 1998.", 0, 0),
        ("u r l8 4 da party m8 c u @ 9", 0, 0),
        ("Entschuldigung für die Störung, das Wetter ist schön", 0, 0.05),
        ("Привет как дела сегодня вечером", 1, 1),
        ("Ελληνικά κείμενο", 1, 1),
        ("مرحبا كيف حالك اليوم", 1, 1),
        ("한국어 텍스트", 1, 1),
        ("這是一個測試文本，關於新聞", 0.5, 1),
    ],
)
def test_unknown_is_what_an_english_tokenizer_cannot_read(minilm, text, low, high):
    [extent] = Reading(minilm, 64).extents([(text,)])
    assert low <= extent.unknown / extent.size <= high


@pytest.mark.parametrize(("text", "unknown"), [("abc", 3), ("日本", 6), ("1 2 3", 0), ("ß", 2)])
def test_parts_of_characters_and_words_spelt_out_are_unknown_without_a_token_for_it(text, unknown):
    [extent] = Reading(definition("bytes"), 64).extents([(text,)])
    assert extent.unknown == unknown
