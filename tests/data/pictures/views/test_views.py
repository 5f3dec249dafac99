"""Views of pictures: each policy changes what it says, and nothing else is random."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from headstart.data.pictures.views import policies, seen
from headstart.data.pictures.views.erase import SHARES, erase
from headstart.data.pictures.views.operations import OPERATIONS, edge
from headstart.errors import UsageError


@pytest.fixture
def scene():
    """A picture in which no two quarters are alike: a ramp, with a bright spot."""
    x, y = np.meshgrid(np.arange(60), np.arange(40))
    pixels = np.stack([4 * x, 6 * y, 2 * x + y], -1).astype(np.uint8)
    pixels[5:12, 8:15] = (250, 240, 30)
    return Image.fromarray(pixels)


def pixels(picture):
    return np.asarray(picture).astype(int)


@pytest.mark.parametrize("name", policies.names())
def test_a_view_is_a_picture_of_the_same_size_and_the_same_for_a_seed(scene, name):
    before = pixels(scene)
    for seed in range(12):
        first, again = (policies.get(name)(scene, np.random.default_rng(seed)) for _ in range(2))
        assert first.size == scene.size and first.mode == "RGB"
        assert np.array_equal(pixels(first), pixels(again))
    assert np.array_equal(pixels(scene), before), "the picture itself stays as it is"


@pytest.mark.parametrize("name", ("light", "trivial", "randaugment", "erase", "mirror"))
def test_views_differ(scene, name):
    found = {
        pixels(policies.get(name)(scene, np.random.default_rng(seed))).tobytes()
        for seed in range(20)
    }
    assert len(found) >= (2 if name == "mirror" else 8)


@pytest.mark.parametrize("name", ("light", "trivial", "randaugment", "erase"))
def test_a_picture_of_a_single_pixel_is_no_trouble(name):
    tiny = Image.new("RGB", (1, 1), (9, 8, 7))
    for seed in range(30):
        assert policies.get(name)(tiny, np.random.default_rng(seed)).size == (1, 1)


@pytest.mark.parametrize("name", OPERATIONS)
def test_at_no_degree_an_operation_changes_nothing(scene, name):
    found = pixels(OPERATIONS[name](scene, 0.0))
    assert np.abs(found - pixels(scene)).max() <= 1


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "identity"])
@pytest.mark.parametrize("degree", (-0.8, 0.8))
def test_at_a_high_degree_it_does(scene, name, degree):
    changed = np.abs(pixels(OPERATIONS[name](scene, degree)) - pixels(scene))
    assert (changed > 8).mean() > (0.002 if name == "sharpness" else 0.1)


def test_what_comes_into_view_has_the_colour_of_the_first_pixel(scene):
    shifted = OPERATIONS["shift-x"](scene, 1.0)
    assert (pixels(shifted)[:, -8:] == edge(scene)).all()
    expected = pixels(scene)[:, round(60 / 7)]
    assert np.abs(pixels(shifted)[:, 0] - expected).max() <= 4


def test_mirroring_is_done_in_every_second_view(scene):
    kinds = [
        np.array_equal(pixels(seen(scene, "mirror", np.random.default_rng(s))), pixels(scene))
        for s in range(200)
    ]
    assert 70 < sum(kinds) < 130
    assert np.array_equal(
        pixels(seen(scene, "mirrored", np.random.default_rng(0))), pixels(ImageOps.mirror(scene))
    )


def test_erasing_hides_a_rectangle_of_a_share_that_is_said(scene):
    shares = []
    for seed in range(200):
        hidden = (pixels(erase(scene, np.random.default_rng(seed))) != pixels(scene)).any(-1)
        if hidden.any():
            rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
            box = hidden[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert box.mean() > 0.9, "noise seldom has the colour that was there"
            shares.append(box.size / hidden.size)
    assert 70 < len(shares) < 130
    assert min(shares) > SHARES[0] / 2 and max(shares) < SHARES[1] * 1.1


def test_policies_follow_each_other(scene):
    random = np.random.default_rng(3)
    both = seen(scene, "light+mirrored", np.random.default_rng(3))
    assert np.array_equal(
        pixels(both), pixels(ImageOps.mirror(policies.get("light")(scene, random)))
    )


def test_an_unknown_policy_is_said(scene):
    with pytest.raises(UsageError, match="light"):
        seen(scene, "ligth", np.random.default_rng(0))
