"""Digests: the published values, and plain data by content and not by order of keys."""

from __future__ import annotations

from headstart.digest import digest_bytes, digest_data, digest_file

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""Of ``abc``: the example of FIPS 180-2."""


def test_bytes_and_files_have_the_published_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest_bytes(b"abc") == digest_file(tmp_path / "abc") == ABC


def test_data_are_told_apart_by_content_and_not_by_the_order_of_keys():
    one = {"a": 1, "b": [1, 2, {"c": "é", "d": None}]}
    assert digest_data(one) == digest_data({"b": [1, 2, {"d": None, "c": "é"}], "a": 1})
    others = [{**one, "a": 2}, {**one, "a": "1"}, {**one, "b": [2, 1, one["b"][2]]}, [one]]
    assert digest_data(one) not in map(digest_data, others)
    assert digest_data(["ab", "c"]) != digest_data(["a", "bc"])
