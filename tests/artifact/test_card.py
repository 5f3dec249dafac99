"""The card: what a reader of the folder is told."""

from __future__ import annotations

import pytest

from headstart.artifact.card import card

FACTS = {
    "title": "label: image-classification",
    "verdict": "Transfer helps: +0.310 accuracy [0.270, 0.350] over the best model from scratch.",
    "task": "image-classification",
    "spec": {"name": "label", "classes": ["bag", "boot"]},
    "source": "bundled/efficientnet-lite0",
    "licence": "Apache-2.0",
    "recipe": "finetune",
    "cut": "blocks.5",
    "rows": 1000,
    "quarantined": 3,
    "metric": "accuracy",
    "validation": "0.880 [0.840, 0.910]",
    "test": "0.870 [0.820, 0.910]",
    "fingerprint": "0123456789abcdef0123",
    "version": "0.1.0",
    "seed": 7,
    "refitted": False,
}


def rows(text):
    """Return the table of the card."""
    lines = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    return {cells[1].strip(): cells[2].strip() for cells in lines if len(cells) == 4}


def test_it_says_what_the_model_is_and_how_it_did():
    text = card(FACTS)
    assert text.startswith(f"# {FACTS['title']}\n\n{FACTS['verdict']}\n")
    found = rows(text)
    assert found["task"] == "image-classification"
    assert found["target"] == "`label`: 2 classes"
    assert found["source"] == "bundled/efficientnet-lite0"
    assert found["licence of the source"] == "Apache-2.0"
    assert found["rows"] == "1000 usable, 3 set aside"
    assert found["validation accuracy"] == FACTS["validation"]
    assert found["test accuracy"] == FACTS["test"]
    assert found["recipe"] == "finetune, trained from `blocks.5` on"
    assert "Classes: `bag`, `boot`" in text
    assert "headstart predict ." in text


@pytest.mark.parametrize(
    ("changes", "said"),
    (
        ({"source": None, "licence": None}, "none: trained from scratch"),
        ({"recipe": "probe", "cut": "end"}, "| recipe | probe |"),
        ({"recipe": "tfidf-linear", "cut": "none"}, "| recipe | tfidf-linear |"),
        ({"test": None}, "| test accuracy | not read |"),
        ({"refitted": True}, "fitted again, by the same recipe, on all 1000 rows"),
        ({"refitted": False}, "The weights here are those that were evaluated."),
        ({"spec": {"name": "transcript"}}, "| target | `transcript` |"),
    ),
)
def test_it_says_what_is_different(changes, said):
    assert said in card({**FACTS, **changes})


def test_a_target_without_classes_lists_none():
    assert "lasses" not in card({**FACTS, "spec": {"name": "transcript"}})


def test_labels_of_a_set_are_called_labels():
    text = card({**FACTS, "task": "image-multilabel"})
    assert "`label`: 2 labels" in text and "Labels: `bag`, `boot`" in text and "lasses" not in text
