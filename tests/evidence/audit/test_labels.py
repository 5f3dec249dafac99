import numpy as np
import pytest

from headstart.evidence.audit.labels import labels


@pytest.fixture
def flipped(examined_of, sentences):
    """Draw rows of three classes that features tell, and twelve of them with a wrong label."""

    def draw(seed):
        random = np.random.default_rng(seed)
        truth = np.arange(240) % 3
        features = random.normal(size=(240, 8)) + 4 * np.eye(3, 8)[truth]
        wrong = random.choice(240, 12, replace=False)
        said = truth.copy()
        said[wrong] = (said[wrong] + 1) % 3
        return examined_of(sentences(240), [f"c{i}" for i in said], features), wrong, truth

    return draw


def test_wrong_labels_are_found(flipped):
    found = []
    for seed in range(10):
        rows, wrong, truth = flipped(seed)
        [finding] = labels(rows)
        right = np.isin(finding.rows, wrong)
        first = finding.rows[0]
        assert right[0], "the surest comes first"
        assert finding.told[0] == f"c{(truth[first] + 1) % 3}, rather 'c{truth[first]}'"
        assert finding.severity == "warning"
        found.append((right.sum() / 12, right.mean()))
    recall, precision = np.mean(found, 0)
    assert recall >= 0.87
    assert precision >= 0.94
    assert found[0][1] == 1, "in the first draw nothing else is suspected"


def test_right_labels_are_not_suspected(examined_of, sentences):
    truth = np.arange(120) % 2
    features = np.random.default_rng(0).normal(size=(120, 4)) + 9 * np.eye(2, 4)[truth]
    assert not list(labels(examined_of(sentences(120), [f"c{i}" for i in truth], features)))


def test_nothing_is_said_without_features(examined_of, sentences):
    assert not list(labels(examined_of(sentences(30), ["a", "b"] * 15)))


def test_a_wrong_number_is_found(examined_of, sentences):
    random = np.random.default_rng(0)
    features = random.normal(size=(200, 5))
    truth = features @ [1, 2, 3, 0, 0] + 0.1 * random.normal(size=200)
    truth[17] += 8
    rows = examined_of(sentences(200), [f"{v:.4f}" for v in truth], features, "text-regression")
    [finding] = labels(rows)
    assert finding.rows == (17,)


def test_a_wrong_set_of_labels_is_found(examined_of, sentences):
    random = np.random.default_rng(0)
    having = random.random((300, 3)) < 0.4
    having[:, 0] |= ~having.any(1)
    features = random.normal(size=(300, 6)) + 6 * having @ np.eye(3, 6)
    having[17] = ~having[17]
    having[17, 0] |= not having[17].any()
    cells = [tuple(f"l{i}" for i in np.flatnonzero(row)) for row in having]
    [finding] = labels(examined_of(sentences(300), cells, features, "text-multilabel"))
    assert finding.rows[0] == 17
