"""The audit of a data set, real weights underneath."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageFilter

import headstart as hs
from headstart.errors import SourceError


@pytest.fixture
def pictures(tmp_path):
    """Folders of blots in two colours; in the test rows one is a training picture, blurred."""
    random = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 16)):
        for i in range(count):
            label = "ab"[i % 2]
            folder = tmp_path / "data" / part / label
            folder.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (7, 7, 3), np.uint8)
            pixels[..., 0 if label == "a" else 2] = 255
            Image.fromarray(pixels).resize((90, 90), Image.Resampling.BICUBIC).save(
                folder / f"{i}.png"
            )
    first = Image.open(tmp_path / "data/train/a/0.png")
    first.filter(ImageFilter.GaussianBlur(1)).save(tmp_path / "data/test/a/again.png")
    (tmp_path / "data/train/a/bad.png").write_bytes(b"nothing")
    return tmp_path / "data"


def test_findings_name_rows_and_say_what_is_done(pictures, own_cache):
    found = hs.audit(pictures)
    by_check = {finding.check: finding for finding in found.findings}
    near = by_check["near duplicates"]
    assert {found.dataset.names[i] for i in near.rows} == {"train/a/0.png", "test/a/again.png"}
    assert "1 row cannot be used: not a picture" in by_check["unusable rows"].says
    assert "like test/a/again.png" in str(found)
    data = json.loads(json.dumps(found.data()))
    assert data["rows"] == 57 and data["task"] == "image-classification"
    assert data["set_aside"] == [{"name": "train/a/bad.png", "about": "not a picture"}]


def test_a_near_duplicate_of_a_test_row_is_not_learnt_from(pictures, own_cache, tmp_path):
    study = hs.fit(pictures, budget=60, max_trials=1, out=tmp_path / "run", refit=False)
    reasons = {aside.where: aside.reason for aside in study.set_aside}
    assert "again.png in the given test rows" in reasons["train/a/0.png"]
    assert any(f["check"] == "near duplicates" for f in study.result["findings"])
    assert study.result["data"]["train"] + study.result["data"]["validation"] == 39
    assert "train/a/0.png" in (tmp_path / "run/report.html").read_text()


def test_a_source_of_another_modality_is_refused(pictures):
    with pytest.raises(SourceError, match="is for text"):
        hs.audit(pictures, source="bundled/minilm")
