"""Encodings of text files, and tables that are compressed."""

from __future__ import annotations

import gzip

import pytest

from headstart.data.encodings import decode, table_text
from headstart.errors import DataError

TEXT = "naïve 日本"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_texts_are_decoded_by_their_mark(encoding):
    assert decode(TEXT.encode(encoding)) == (TEXT, None)


def test_what_is_not_utf8_is_windows_1252_and_its_first_byte_told():
    assert decode("abc é".encode("cp1252")) == ("abc é", 4)


@pytest.mark.parametrize("content", [b"a\0b", b"\xff\xfe\0\0a\0"])
def test_what_is_binary_is_refused(content):
    with pytest.raises(ValueError, match="binary"):
        decode(content)


@pytest.mark.parametrize(
    "content",
    [b"a\0b\nc" + b"d" * 999, b"head\n" + b"a\0" * 9 + b"b" * 99, b"head\n\0", b"a" * 200 + b"\0"],
)
def test_zero_bytes_in_the_first_line_or_many_are_no_table(content):
    with pytest.raises(ValueError, match="binary"):
        decode(content, stray=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_stray_zero_byte_stands_in_the_text_of_a_table(encoding):
    text = "head\n" + "a" * 300 + "\0" + "b" * 300
    assert decode(text.encode(encoding), stray=True) == (text, None)


def test_a_compressed_table_is_read_and_a_damaged_one_refused(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    assert table_text(path, "a table") == (TEXT, [])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"a\.csv\.gz: cannot be decompressed.*Is it whole"):
        table_text(path, "a table")
