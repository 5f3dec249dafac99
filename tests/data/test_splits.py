"""Splits: nothing on two sides, every row somewhere, each stratum dealt evenly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headstart.data.splits import (
    FOLDS,
    NESTED_FOLDS,
    deal,
    nested_folds,
    shares,
    split,
    straddling,
    stratified_order,
    units,
)
from headstart.errors import DataError

# (content, class, group, given part); few values, so that ties are common
ROW = st.tuples(
    st.integers(0, 30),
    st.sampled_from("abc"),
    st.integers(0, 12),
    st.sampled_from([None, None, "train", "validation", "test"]),
)


def make(dataset_of, rows, *, grouped=True, parted=False):
    cells, labels, groups, parts = zip(*rows, strict=True)
    return dataset_of(
        [f"text {cell}" for cell in cells],
        labels,
        groups=[str(group) for group in groups] if grouped else None,
        parts=parts if parted else None,
    )


def strata_of(dataset):
    return np.array(dataset.targets[0].values)


def part_of_each(dataset, seed=0):
    parts = split(dataset, strata_of(dataset), seed)
    found = np.full(len(dataset), "", dtype=object)
    for name in ("train", "validation", "test"):
        assert (found[getattr(parts, name)] == "").all(), "a row is in two parts"
        found[getattr(parts, name)] = name
    assert (found != "").all(), "a row is in no part"
    return found


def units_by_hand(dataset):
    """Join rows until nothing changes any more: slow, and plainly what is meant."""
    unit = list(range(len(dataset)))
    ties = [dataset.digests] + ([dataset.groups] if dataset.groups else [])
    changed = True
    while changed:
        changed = False
        for keys in ties:
            least = {}
            for i, key in enumerate(keys):
                least[key] = min(least.get(key, unit[i]), unit[i])
            for i, key in enumerate(keys):
                if unit[i] != least[key]:
                    unit[i], changed = least[key], True
    return unit


@given(rows=st.lists(ROW, min_size=1, max_size=40), grouped=st.booleans())
def test_units_are_rows_tied_by_group_or_content_over_any_number_of_steps(
    dataset_of, rows, grouped
):
    dataset = make(dataset_of, rows, grouped=grouped)
    found, expected = units(dataset).tolist(), units_by_hand(dataset)
    pairs = set(zip(found, expected, strict=True))
    assert len(pairs) == len(set(found)) == len(set(expected))


@given(rows=st.lists(ROW, min_size=1, max_size=60), seed=st.integers(0, 5))
def test_no_unit_is_in_two_parts_and_every_row_is_in_one(dataset_of, rows, seed):
    dataset = make(dataset_of, rows)
    found = part_of_each(dataset, seed)
    sides = {}
    for unit, part in zip(units(dataset).tolist(), found, strict=True):
        assert sides.setdefault(unit, part) == part


@given(rows=st.lists(ROW, min_size=1, max_size=60), seed=st.integers(0, 5))
def test_given_parts_are_respected_and_only_what_is_missing_is_drawn(dataset_of, rows, seed):
    dataset = make(dataset_of, rows, parted=True)
    dataset = dataset.without(straddling(dataset))
    found = part_of_each(dataset, seed)
    given_parts = set(dataset.parts)
    for wanted, part in zip(dataset.parts, found, strict=True):
        if wanted in ("validation", "test"):
            assert part == wanted
        elif part != "train":
            assert part not in given_parts
    sides = {}
    for unit, part in zip(units(dataset).tolist(), found, strict=True):
        assert sides.setdefault(unit, part) == part
    method = split(dataset, strata_of(dataset), seed).method
    assert method == ("given" if "test" in given_parts else "holdout")


@given(rows=st.lists(ROW, min_size=1, max_size=60), grouped=st.booleans(), seed=st.integers(0, 5))
def test_every_row_of_a_frequent_stratum_is_held_out_once_with_its_unit(
    dataset_of, rows, grouped, seed
):
    dataset = make(dataset_of, rows, grouped=grouped)
    strata, unit_of = strata_of(dataset), units(dataset)
    fold = nested_folds(dataset, strata, seed)
    for unit in np.unique(unit_of):
        assert len(np.unique(fold[unit_of == unit])) == 1
    rare = [s for s in np.unique(strata) if len(np.unique(unit_of[strata == s])) < 3]
    assert (fold == -1).tolist() == np.isin(unit_of, unit_of[np.isin(strata, rare)]).tolist()
    for held in range(NESTED_FOLDS):  # what is held out can be learnt from the rest
        assert set(strata[fold == held]) <= set(strata[fold != held])


@given(labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=80), seed=st.integers(0, 9))
def test_every_stratum_has_its_share_up_to_any_place(labels, seed):
    strata = np.array(labels)
    order = stratified_order(strata, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(labels)))
    for stratum in set(labels):
        share = (strata == stratum).mean()
        have = np.cumsum(strata[order] == stratum)
        assert np.abs(have - share * np.arange(1, len(labels) + 1)).max() <= 2


def test_rows_are_dealt_anew_in_every_repeat_and_alike_for_a_seed(dataset_of):
    dataset = dataset_of([str(i) for i in range(60)], ["ab"[i % 2] for i in range(60)])
    strata = strata_of(dataset)
    deals = [nested_folds(dataset, strata, 0, repeat).tolist() for repeat in range(3)]
    assert len({tuple(deal) for deal in deals}) == 3
    assert nested_folds(dataset, strata, 0, 1).tolist() == deals[1]
    parts = split(dataset, strata, 0, tested=False)
    assert parts.method == "nested-cv" and not len(parts.test)
    assert len(parts.train) + len(parts.validation) == 60 and len(parts.validation)


@given(
    rows=st.lists(ROW, min_size=1, max_size=60),
    grouped=st.booleans(),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_split_is_the_same_for_the_same_rows_in_another_order(
    dataset_of, rows, grouped, seed, data
):
    dataset = make(dataset_of, rows, grouped=grouped)
    order = data.draw(st.permutations(range(len(rows))))
    moved = part_of_each(dataset.take(order), seed)
    # rows of the same content are one unit, so which of them is which does not matter
    assert moved.tolist() == part_of_each(dataset, seed)[order].tolist()


@given(labels=st.lists(st.sampled_from("abcd"), min_size=1, max_size=120), seed=st.integers(0, 9))
def test_single_units_are_dealt_evenly_within_each_stratum_and_over_all(labels, seed):
    strata = np.array(labels)
    order = np.random.default_rng(seed).permutation(len(strata))
    fold = deal(strata, np.arange(len(strata)), order, FOLDS)
    for stratum in [*sorted(set(labels)), None]:
        chosen = fold if stratum is None else fold[strata == stratum]
        counts = np.bincount(chosen, minlength=FOLDS)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(("rows", "tested", "chosen_by"), [(400, 120, 80), (3000, 600, 600)])
def test_parts_have_their_share_of_every_class(dataset_of, rows, tested, chosen_by):
    classes = np.array(
        ["common"] * (rows // 2) + ["middling"] * (rows // 4) + ["rare"] * (rows // 4)
    )
    dataset = dataset_of([f"text {i}" for i in range(rows)], classes.tolist())
    parts = split(dataset, classes, 0)
    assert len(parts.test) == tested and len(parts.validation) == chosen_by
    for part, size in ((parts.test, tested), (parts.validation, chosen_by)):
        counts = Counter(classes[part].tolist())
        assert abs(counts["common"] - size / 2) <= 1
        assert abs(counts["middling"] - size / 4) <= 1


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(10, (3, 2)), (1999, (3, 2)), (2000, (2, 2)), (4999, (2, 2)), (5000, (2, 1))],
)
def test_shares_shrink_as_rows_grow(rows, expected):
    assert shares(rows) == expected


@given(rows=st.lists(ROW, min_size=1, max_size=60), seed=st.integers(0, 5), grouped=st.booleans())
def test_a_class_of_three_units_or_more_can_be_learnt_and_a_rarer_one_always(
    dataset_of, rows, seed, grouped
):
    dataset = make(dataset_of, rows, grouped=grouped)
    strata, found = strata_of(dataset), part_of_each(dataset, seed)
    for stratum in set(strata):
        mine = strata == stratum
        assert "train" in found[mine]
        if len(set(units(dataset)[mine])) < 3:
            assert set(found[mine]) == {"train"}


@pytest.mark.parametrize("seed", range(20))
def test_a_class_brought_back_to_training_brings_its_whole_groups(dataset_of, seed):
    # no group of class b may be dealt to training at first
    dataset = dataset_of("0123456", "baabaab", digests="0123456", groups="1524323")
    found = part_of_each(dataset, seed)
    sides = {}
    for unit, part in zip(units(dataset).tolist(), found, strict=True):
        assert sides.setdefault(unit, part) == part


def test_different_seeds_give_different_splits(dataset_of):
    dataset = dataset_of([f"text {i}" for i in range(100)], list("ab") * 50)
    tests = {tuple(split(dataset, strata_of(dataset), seed).test) for seed in range(5)}
    assert len(tests) == 5


def test_when_all_rows_have_a_given_part_nothing_is_drawn(dataset_of):
    dataset = dataset_of("pqrs", "aaaa", parts=["test", "validation", "test", "validation"])
    assert part_of_each(dataset).tolist() == ["test", "validation", "test", "validation"]


REASON = "of the same group as, or the same or nearly the same as,"


def test_straddling_sets_aside_the_row_that_would_betray_a_given_part(dataset_of):
    dataset = dataset_of(
        ["same", "same", "x", "x", "other", "y"],
        parts=["train", "test", "train", "validation", "validation", "test"],
        groups=["1", "2", "3", "4", "5", "5"],
    )
    assert straddling(dataset) == {
        0: f"{REASON} row 1 in the given test rows",
        2: f"{REASON} row 3 in the given validation rows",
        4: f"{REASON} row 5 in the given test rows",
    }


def test_straddling_leaves_duplicates_within_a_part_alone(dataset_of):
    dataset = dataset_of(["same", "same", "x", "x"], parts=["test", "test", None, "train"])
    assert straddling(dataset) == {}


@given(rows=st.lists(ROW, min_size=1, max_size=40))
def test_after_straddling_no_given_part_shares_a_unit_with_another(dataset_of, rows):
    dataset = make(dataset_of, rows, parted=True)
    kept = dataset.without(straddling(dataset))
    assume(len(kept))
    sides = {}
    for unit, part in zip(units(kept).tolist(), kept.parts, strict=True):
        assert sides.setdefault(unit, part or "train") == (part or "train")


@given(st.lists(st.tuples(ROW, st.integers(0, 40)), min_size=12, max_size=60), st.integers(0, 3))
def test_by_time_nothing_that_is_learnt_from_is_newer_than_what_is_tested_on(
    dataset_of, rows, seed
):
    dataset = make(dataset_of, [row for row, _ in rows])
    times = tuple(float(time) for _, time in rows)
    dataset = replace(dataset, times=times)
    try:
        parts = split(dataset, strata_of(dataset), seed)
    except DataError:
        return
    unit_of = units(dataset)
    newest = {u: max(t for v, t in zip(unit_of, times, strict=True) if v == u) for u in unit_of}
    when = np.array([newest[u] for u in unit_of])
    assert parts.method == "time" and len(parts.train) and len(parts.test)
    assert sorted(np.concatenate([parts.train, parts.validation, parts.test])) == list(
        range(len(rows))
    )
    older = np.concatenate([parts.train, parts.validation])
    assert when[older].max() < when[parts.test].min()
    if len(parts.validation):
        assert when[parts.train].max() < when[parts.validation].min()
    parts_of = {u: set() for u in unit_of}
    for name in ("train", "validation", "test"):
        for row in getattr(parts, name):
            parts_of[unit_of[row]].add(name)
    assert all(len(found) == 1 for found in parts_of.values())


def test_by_time_the_newest_rows_have_their_usual_share(dataset_of):
    rows = [(i, "ab"[i % 2], i, None) for i in range(50)]
    dataset = replace(make(dataset_of, rows), times=tuple(float(-i) for i in range(50)))
    parts = split(dataset, strata_of(dataset), 0)
    assert parts.test.tolist() == list(range(15))
    assert parts.validation.tolist() == list(range(15, 25))


def test_by_time_given_test_rows_stay_and_validation_is_the_newest_of_the_others(dataset_of):
    rows = [(i, "ab"[i % 2], i, "test" if i < 10 else None) for i in range(40)]
    dataset = make(dataset_of, rows, parted=True)
    dataset = replace(dataset, times=tuple(float(i) for i in range(40)))
    parts = split(dataset, strata_of(dataset), 0)
    assert parts.method == "given" and parts.test.tolist() == list(range(10))
    assert parts.validation.tolist() == list(range(34, 40))


def test_by_time_rows_of_one_time_cannot_be_split(dataset_of):
    dataset = make(dataset_of, [(i, "ab"[i % 2], i, None) for i in range(20)])
    dataset = replace(dataset, times=(2020.0,) * 20)
    with pytest.raises(DataError, match="only 1 different time,"):
        split(dataset, strata_of(dataset), 0)
