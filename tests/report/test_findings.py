from headstart.report.findings import finding_lines

FINDING = {
    "check": "labels",
    "severity": "warning",
    "count": 7,
    "says": "7 labels are odd",
    "does": "nothing is changed",
    "rows": [{"name": "a", "about": "x, rather 'y'"}, {"name": "b"}, {"name": "c"}],
}


def test_rows_are_named_and_the_others_counted():
    assert finding_lines([FINDING], most=2) == [
        "",
        "warning: 7 labels are odd.",
        "  nothing is changed.",
        "    a: x, rather 'y'",
        "    b",
        "    … and 5 more",
    ]


def test_a_finding_without_rows_is_two_lines():
    assert len(finding_lines([{**FINDING, "count": 0, "rows": []}])) == 3


def test_nothing_found_is_said():
    assert "Nothing was found" in finding_lines([])[1]
