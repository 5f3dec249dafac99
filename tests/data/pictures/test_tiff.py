"""TIFF files that Pillow cannot read, decoded through the picture loader."""

from __future__ import annotations

import io
import sys
import time
import tracemalloc

import numpy as np
import pytest
import tifffile

from headstart.data.modalities import image
from headstart.data.pictures import tiff
from headstart.errors import Unreadable

RAMP = np.arange(20 * 30, dtype=np.float64).reshape(20, 30) / (20 * 30 - 1)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], -1)


@pytest.fixture
def write(tmp_path):
    """A function that writes values as a TIFF file and returns its path."""

    def make(values, **options):
        tifffile.imwrite(tmp_path / "a.tif", values, **options)
        return tmp_path / "a.tif"

    return make


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ((COLOURS * 65535).astype(np.uint16), {"photometric": "rgb"}),
        (COLOURS.astype(np.float32), {"photometric": "rgb"}),
        (COLOURS.astype(np.float64), {"photometric": "rgb"}),
        ((COLOURS * 255).round().astype(np.uint8).transpose(2, 0, 1), {"photometric": "rgb"}),
        (
            (COLOURS * 65535).astype(np.uint16).transpose(2, 0, 1),
            {"photometric": "rgb", "planarconfig": "separate"},
        ),
        ((COLOURS * 255).round().astype(np.uint8), {"photometric": "rgb", "bigtiff": True}),
        ((COLOURS * 65535).astype(np.uint16), {"photometric": "rgb", "compression": "deflate"}),
        ((COLOURS * 65535).astype(np.uint16), {"photometric": "rgb", "tile": (16, 16)}),
        ((COLOURS * 65535).astype(np.uint16), {"photometric": "rgb", "byteorder": ">"}),
    ],
    ids=["u2", "f4", "f8", "planes", "deep planes", "big", "deflate", "tiles", "big-endian"],
)
def test_colours_of_any_depth_and_layout_are_read(write, values, options):
    shown = np.asarray(image.load(write(values, **options)))
    assert np.abs(shown - COLOURS * 255).max() <= 1.01


@pytest.mark.parametrize("kind", [np.uint16, np.float32, np.float64, np.uint32])
def test_grey_of_any_depth_is_read(write, kind):
    top = 1.0 if np.issubdtype(kind, np.floating) else np.iinfo(kind).max
    shown = np.asarray(image.load(write((RAMP * top).astype(kind))))
    assert np.abs(shown[..., 0] - RAMP * 255).max() <= 1.01


def test_of_many_channels_the_first_three_are_taken(write):
    six = np.concatenate([COLOURS, COLOURS * 0.5], -1)
    path = write((six * 65535).astype(np.uint16), photometric="rgb", planarconfig="contig")
    assert np.abs(np.asarray(tiff.decode(path)) - COLOURS * 255).max() <= 1.01


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_of_many_pages_the_first_is_taken(write, kind):
    top = 255 if kind is np.uint8 else 1
    path = write(
        (np.stack([RAMP, RAMP * 0, RAMP * 0]) * top).astype(kind), photometric="minisblack"
    )
    assert np.abs(np.asarray(image.load(path))[..., 0] - RAMP * 255).max() <= 1.01


def test_white_may_be_zero(write):
    path = write((RAMP * 65535).astype(np.uint16), photometric="miniswhite")
    assert np.abs(np.asarray(tiff.decode(path)) - (255 - RAMP * 255)).max() <= 1.01


def test_transparency_shows_white(write):
    deep = np.full((4, 4, 4), 0, np.uint16)
    path = write(deep, photometric="rgb", extrasamples=["unassalpha"])
    assert image.load(path).getpixel((0, 0)) == (255, 255, 255)


def test_the_orientation_is_applied(write):
    path = write(RAMP.astype(np.float64), extratags=[(274, "H", 1, 6, True)])
    shown = np.asarray(image.load(path))[..., 0]
    assert shown.shape == (30, 20) and shown[0, -1] == 0 and shown[-1, 0] == 255


def test_the_same_picture_as_bytes_or_as_a_file_has_the_same_digest(write):
    path = write(COLOURS.astype(np.float32), photometric="rgb")
    check = image.ImageModality().check
    assert check(path) == check(path.read_bytes())
    assert image.ImageModality().sizes([path, path.read_bytes()]) == [20, 20]


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_a_huge_picture_is_refused_by_its_header(tmp_path, kind):
    path = tmp_path / "huge.tif"
    tifffile.memmap(path, shape=(40_000, 40_000), dtype=kind).flush()
    with path.open("r+b") as file:
        file.truncate(1000)  # the header says all
    tracemalloc.start()
    started = time.monotonic()
    with pytest.raises(Unreadable, match="over the limit of 100 million"):
        image.load(path)
    seconds, (_, peak) = time.monotonic() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 2 and peak < 1e7


def test_a_file_cut_short_is_refused(write):
    path = write(COLOURS.astype(np.float64), photometric="rgb")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(Unreadable, match="cannot be decoded"):
        image.load(path)


def test_a_compression_that_needs_another_package_is_named(write, monkeypatch):
    path = write((COLOURS * 65535).astype(np.uint16), photometric="rgb")

    def lacking(*_given, **_options):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", lacking)
    with pytest.raises(Unreadable, match="compressed as .* `pip install imagecodecs`"):
        tiff.decode(path)


def test_without_tifffile_the_extra_to_install_is_named(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    tiff._tifffile.cache_clear()
    with pytest.raises(Unreadable, match=r"pip install 'headstart\[medical\]'"):
        tiff.decode(io.BytesIO().getvalue())
    tiff._tifffile.cache_clear()
