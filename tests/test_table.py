from headstart.table import table


def test_columns_are_aligned():
    rows = [["name", "rows"], ["a", "7"], ["longer", "1,234"]]
    assert table(rows, right={1}) == ["name     rows", "a           7", "longer  1,234"]
