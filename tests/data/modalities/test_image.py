"""Pictures: every mode becomes upright RGB, what is damaged is refused, views are repeatable."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from headstart.data.modalities import Preprocessing, View, image, modalities
from headstart.errors import Unreadable

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
PICTURES = modalities.get("image")
ORANGE = (240, 120, 20)


@pytest.fixture
def save(tmp_path):
    """A function that writes a picture and returns its path."""

    def write(picture, name="a.png", **options):
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return write


@pytest.fixture
def scene():
    """A picture of 48 x 40 pixels without two equal corners."""
    y, x = np.mgrid[0:40, 0:48]
    return Image.fromarray(np.stack([5 * x, 6 * y, 2 * (x + y)], -1).astype(np.uint8))


def corner(path):
    return image.load(path).getpixel((0, 0))


def palette(transparent):
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, *ORANGE])
    if transparent:
        picture.info["transparency"] = 1
    return picture


def deep(value):
    return Image.fromarray(np.full((4, 4), value, np.uint16))


@pytest.mark.parametrize(
    ("name", "picture", "expected"),
    [
        ("rgb.png", Image.new("RGB", (4, 4), ORANGE), ORANGE),
        ("grey.png", Image.new("L", (4, 4), 77), (77, 77, 77)),
        ("one-bit-white.png", Image.new("1", (4, 4), 1), (255, 255, 255)),
        ("one-bit-black.png", Image.new("1", (4, 4), 0), (0, 0, 0)),
        ("palette.png", palette(transparent=False), ORANGE),
        ("palette-clear.png", palette(transparent=True), (255, 255, 255)),
        ("palette-clear.gif", palette(transparent=True), (255, 255, 255)),
        ("grey-alpha-solid.png", Image.new("LA", (4, 4), (77, 255)), (77, 77, 77)),
        ("grey-alpha-clear.png", Image.new("LA", (4, 4), (77, 0)), (255, 255, 255)),
        ("grey-alpha-half.png", Image.new("LA", (4, 4), (0, 128)), (127, 127, 127)),
        ("alpha-solid.png", Image.new("RGBA", (4, 4), (*ORANGE, 255)), ORANGE),
        ("alpha-clear.png", Image.new("RGBA", (4, 4), (*ORANGE, 0)), (255, 255, 255)),
        ("alpha-half.png", Image.new("RGBA", (4, 4), (0, 0, 0, 128)), (127, 127, 127)),
        ("cmyk-paper.tif", Image.new("CMYK", (4, 4), (0, 0, 0, 0)), (255, 255, 255)),
        ("cmyk-cyan.tif", Image.new("CMYK", (4, 4), (255, 0, 0, 0)), (0, 255, 255)),
        ("deep-grey.png", deep(77 * 257), (77, 77, 77)),
        ("deep-dark.png", deep(200), (1, 1, 1)),
        ("deep-white.png", deep(65535), (255, 255, 255)),
        ("float.tif", Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), (0, 0, 0)),
        ("int.tif", Image.fromarray(np.full((4, 4), 77, np.int32)), (77, 77, 77)),
    ],
)
def test_every_mode_becomes_rgb_as_it_looks_on_white(save, name, picture, expected):
    loaded = image.load(save(picture, name))
    assert loaded.mode == "RGB" and loaded.size == picture.size
    assert loaded.getpixel((0, 0)) == pytest.approx(expected, abs=1)


def test_floating_point_pictures_are_stretched_between_their_own_extremes(save):
    path = save(Image.fromarray(np.array([[-2, 0, 2]], np.float32)), "a.tif")
    assert [image.load(path).getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]


def test_a_cmyk_jpeg_keeps_its_colours(save):
    red = save(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "a.jpg")
    assert corner(red) == pytest.approx((255, 0, 0), abs=12)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(save, scene, orientation):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = scene.transpose(undo[orientation]) if orientation in undo else scene
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = image.load(save(stored, exif=exif))
    assert np.array_equal(np.asarray(loaded), np.asarray(scene))


def png_claiming(width, height):
    def chunk(kind, content):
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    row = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + header + row + chunk(b"IEND", b"")


def truncated(kind):
    random = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(random).save(buffer, kind)
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.png", b"", "an empty file"),
        ("text.png", b"this is no picture at all", "not a picture"),
        ("html.jpg", b"<!doctype html><html>404</html>", "not a picture"),
        ("cut.png", truncated("PNG"), "the picture cannot be decoded"),
        ("cut.jpg", truncated("JPEG"), "the picture cannot be decoded"),
        ("header.png", truncated("PNG")[:20], "the picture cannot be decoded"),
        ("big.png", png_claiming(12_000, 10_000), "12000 x 10000 pixels is over the limit of 100"),
        ("bomb.png", png_claiming(50_000, 50_000), "over the limit of 100 million pixels"),
    ],
)
@pytest.mark.parametrize("at_least", [None, 32])
def test_what_is_no_whole_picture_is_refused_with_the_reason(
    tmp_path, name, content, reason, at_least
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Unreadable) as caught:
        image.load(tmp_path / name, at_least)
    assert reason in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(Unreadable, match="no such file"):
        image.load(tmp_path / "no.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(Unreadable):
        image.load(tmp_path / "folder.png")


def test_a_decompression_bomb_is_refused_before_memory_is_taken(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_claiming(50_000, 50_000))
    (tmp_path / "big.png").write_bytes(png_claiming(12_000, 10_000))
    tracemalloc.start()
    started = time.monotonic()
    for name in ("bomb.png", "big.png"):
        with pytest.raises(Unreadable):
            PICTURES.check(tmp_path / name)
    seconds, (_, peak) = time.monotonic() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 1 and peak < 5e6


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size_but_no_smaller_than_asked(save):
    path = save(Image.new("RGB", (1600, 1200), ORANGE), "a.jpg")
    assert image.load(path).size == (1600, 1200)
    small = image.load(path, at_least=224)
    assert 224 <= min(small.size) < 600
    assert small.getpixel((9, 9)) == pytest.approx(ORANGE, abs=4)


def test_check_is_of_upright_pixels_and_not_of_file_bytes(save, scene):
    turned = Image.Exif()
    turned[0x0112] = 6
    same = [
        save(scene, "a.png"),
        save(scene, "b.bmp"),
        save(scene, "c.png", compress_level=0),
        save(scene.transpose(Image.Transpose.ROTATE_90), "d.png", exif=turned),
    ]
    assert len({PICTURES.check(path) for path in same}) == 1
    other = scene.copy()
    other.putpixel((3, 3), (0, 0, 0))
    assert PICTURES.check(save(other, "e.png")) != PICTURES.check(same[0])


def test_check_tells_blank_pictures_of_different_shapes_apart(save):
    tall = PICTURES.check(save(Image.new("RGB", (2, 8)), "a.png"))
    wide = PICTURES.check(save(Image.new("RGB", (8, 2)), "b.png"))
    assert tall != wide


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.PNG", True), ("a.jpeg", True), ("a.tiff", True), ("a.txt", False), ("png", False)],
)
def test_recognises_by_the_name(name, expected):
    assert PICTURES.recognises(name) is expected


def collate(paths, size=32, **view):
    settings = Preprocessing({"size": size, "interpolation": "bilinear"}, {})
    digests = [PICTURES.check(path) for path in paths]
    return PICTURES.collate(paths, digests, settings, View(**view))["pixels"]


def test_collate_gives_channels_first_bytes_of_the_asked_size(save, scene):
    paths = [save(scene, "a.png"), save(Image.new("RGB", (9, 200), ORANGE), "b.png")]
    pixels = collate(paths)
    assert pixels.shape == (2, 3, 32, 32) and pixels.dtype == np.uint8
    assert (pixels[1] == np.array(ORANGE)[:, None, None]).all()
    expected = np.asarray(scene.resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.array_equal(pixels[0], expected)


def test_a_view_is_fixed_by_seed_index_and_content_and_by_nothing_else(save, scene):
    one, again = save(scene, "a.png"), save(scene, "elsewhere.bmp")
    other = save(scene.transpose(Image.Transpose.FLIP_TOP_BOTTOM), "b.png")
    light = {"index": 1, "policy": "light", "seed": 7}
    alone = collate([one], **light)[0]
    assert np.array_equal(alone, collate([other, again], **light)[1])
    assert not np.array_equal(alone, collate([one], **{**light, "index": 2})[0])
    assert not np.array_equal(alone, collate([one], **{**light, "seed": 8})[0])
    assert not np.array_equal(alone, collate([one])[0])


def test_two_pictures_are_seen_from_different_sides_in_the_same_view(save, scene):
    almost = scene.copy()
    almost.putpixel((20, 20), (0, 0, 0))
    pixels = collate([save(scene, "a.png"), save(almost, "b.png")], index=1, policy="light")
    changed = (pixels[0] != pixels[1]).mean()
    assert changed > 0.5


def test_view_zero_is_the_picture_as_it_is_whatever_the_policy(save, scene):
    path = save(scene)
    assert np.array_equal(collate([path]), collate([path], index=0, policy="light", seed=3))


def test_light_views_stay_recognisable_and_are_never_mirrored(save, scene):
    path = save(scene)
    plain = collate([path])[0].astype(float)
    for index in range(1, 9):
        view = collate([path], index=index, policy="light")[0].astype(float)
        straight = np.corrcoef(plain.ravel(), view.ravel())[0, 1]
        mirrored = np.corrcoef(plain[:, :, ::-1].ravel(), view.ravel())[0, 1]
        assert straight > 0.8 and straight > mirrored + 0.2


def test_decoding_in_threads_leaves_the_warning_filters_of_the_process_alone(save, scene):
    paths = [save(scene, f"{i}.png") for i in range(4)] * 100
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(image.load, paths))
    assert list(warnings.filters) == before


def test_a_picture_that_pillow_warns_of_is_decoded_without_a_word(tmp_path):
    (tmp_path / "big.png").write_bytes(png_claiming(9_400, 9_600))
    code = (
        "import pathlib, sys\n"
        "from headstart.data.modalities.image import load\n"
        "try: load(pathlib.Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__)"
    )
    command = [sys.executable, "-W", "default", "-c", code, str(tmp_path / "big.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Unreadable" and "PIL" not in done.stderr


def test_sizes_are_the_shorter_sides_and_order_is_as_given(save, scene):
    paths = [save(scene, "a.png"), save(Image.new("RGB", (9, 200)), "b.png")]
    assert PICTURES.sizes(paths) == [40, 9] and PICTURES.order(paths) == [0, 1]


def test_render_is_a_small_picture_inside_the_page(save):
    shown = PICTURES.render(save(Image.new("RGB", (2000, 1000), ORANGE)))
    assert shown.startswith('<img src="data:image/png;base64,') and len(shown) < 5000


def test_a_picture_is_the_same_as_a_file_or_as_its_bytes(save, scene):
    path = save(scene, "a.png")
    content = path.read_bytes()
    assert PICTURES.check(content) == PICTURES.check(path)
    assert PICTURES.sizes([content]) == PICTURES.sizes([path])
    assert PICTURES.render(content) == PICTURES.render(path)
    assert np.array_equal(
        collate([content], index=1, policy="light"), collate([path], index=1, policy="light")
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (truncated("PNG"), True),
        (truncated("JPEG"), True),
        (truncated("WEBP"), True),
        (png_claiming(50_000, 50_000), True),
        (b"II*\0" + b"\xff" * 60, True),
        (b"this is no picture", False),
        (b"%PDF-1.7 \xff\xff", False),
        (b"", False),
    ],
)
def test_recognises_bytes_by_how_they_begin(content, expected):
    assert PICTURES.recognises(content) is expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"no picture", "not a picture"),
        (truncated("PNG"), "the picture cannot be decoded"),
        (png_claiming(12_000, 10_000), "over the limit"),
    ],
)
def test_bytes_that_are_no_whole_picture_are_refused_with_the_reason(content, reason):
    with pytest.raises(Unreadable, match=reason):
        image.load(content)


@pytest.fixture
def drawing():
    """A function that draws a picture of blots, another for each seed."""

    def draw(seed, size=96):
        random = np.random.default_rng(seed)
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8))
        return coarse.resize((size, size), Image.Resampling.BICUBIC)

    return draw


def test_a_sketch_knows_a_picture_that_was_saved_again_or_resized(save, drawing):
    first = drawing(0)
    brighter = Image.eval(first, lambda v: min(255, int(v * 1.1)))
    likes = [
        save(first, "a.png"),
        save(first, "b.jpg", quality=40),
        save(first.resize((60, 60)), "c.png"),
        save(brighter, "d.png"),
    ]
    others = [save(drawing(seed), f"{seed}.png") for seed in range(1, 6)]
    sketches = PICTURES.sketch([*likes, *others])
    np.testing.assert_allclose(np.linalg.norm(sketches, axis=1), 1, atol=1e-5)
    near = sketches @ sketches[0]
    assert near[:4].min() > 0.9 > 0.5 > near[4:].max()


def test_a_picture_of_one_colour_has_an_empty_sketch(save):
    [sketch] = PICTURES.sketch([save(Image.new("RGB", (40, 40), ORANGE))])
    assert np.linalg.norm(sketch) < 1e-3 or np.isfinite(sketch).all()


def test_traits_are_what_the_file_says_before_its_pixels(save, drawing):
    exif = Image.Exif()
    exif[271], exif[272] = "Maker", "Model 5"
    cells = [
        save(drawing(0, 80), "a.jpg", quality=90, exif=exif),
        save(drawing(1).convert("L"), "b.png"),
        (save(drawing(2), "c.png")).read_bytes(),
    ]
    found = {trait.name: trait for trait in PICTURES.traits(cells)}
    assert found["width"].values == (80, 96, 96)
    assert found["format"].values == ("JPEG", "PNG", "PNG")
    assert found["colours"].values == ("RGB", "L", "RGB")
    assert found["camera"].values == ("Maker Model 5", "", "")
    assert found["size of the file"].values[2] == len(cells[2])
    assert found["compression"].values[0] > 0 == found["compression"].values[1]
    assert found["width"].seen and not found["camera"].seen
