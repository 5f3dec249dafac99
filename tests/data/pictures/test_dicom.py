"""DICOM files: tones by the standard's formulas, frames, colours, and what cannot be read."""

from __future__ import annotations

import io
import sys

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from headstart.data.modalities import image
from headstart.data.pictures import dicom
from headstart.data.reading import read
from headstart.errors import Unreadable

PICTURES = image.ImageModality()
RAMP = np.arange(0, 4096, 8, np.uint16).reshape(16, 32)


@pytest.fixture
def write(tmp_path):
    """A function that writes values and further elements as a DICOM file; returns its path."""

    def make(values=RAMP, name="a.dcm", syntax=ExplicitVRLittleEndian, content=None, **elements):
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = syntax
        made.SOPClassUID = SecondaryCaptureImageStorage
        made.SOPInstanceUID = generate_uid()
        if values is not None:
            made.Rows, made.Columns = values.shape[-2:]
            made.SamplesPerPixel = 1
            made.PhotometricInterpretation = "MONOCHROME2"
            made.BitsAllocated = 8 * values.dtype.itemsize
            made.BitsStored = 12 if values.dtype.itemsize == 2 else 8
            made.HighBit = made.BitsStored - 1
            made.PixelRepresentation = int(values.dtype.kind == "i")
            made.PixelData = content or values.tobytes()
        for element, value in elements.items():
            setattr(made, element, value)
        made.save_as(tmp_path / name, enforce_file_format=True)
        return tmp_path / name

    return make


def grey(path):
    found = np.asarray(image.load(path))
    assert (found == found[..., :1]).all()
    return found[..., 0]


def test_without_a_window_the_values_are_stretched_between_their_extremes(write):
    expected = (RAMP * (255 / RAMP.max())).round()
    assert np.array_equal(grey(write()), expected)
    assert np.array_equal(grey(write(syntax=ImplicitVRLittleEndian)), expected)


def test_in_monochrome1_low_values_are_bright(write):
    bright = write(PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(grey(bright), 255 - grey(write()))


def test_padding_is_left_out_of_the_extremes(write):
    padded = RAMP.astype(np.int16) + 100
    padded[0, :4] = -2000
    shown = grey(write(padded, PixelPaddingValue=-2000, BitsStored=16, HighBit=15))
    assert np.array_equal(shown[0, :4], [0] * 4) and shown[-1, -1] == 255
    rest = (RAMP[1:] - 32.0) * 255 / (RAMP.max() - 32)
    assert np.abs(shown[1:] - rest).max() <= 0.51


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        ("LINEAR", lambda x, c, w: (x - (c - 0.5)) / (w - 1) + 0.5),
        ("LINEAR_EXACT", lambda x, c, w: (x - c) / w + 0.5),
        ("SIGMOID", lambda x, c, w: 1 / (1 + np.exp(-4 * (x - c) / w))),
    ],
)
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (2, -1024)])
def test_the_window_is_that_of_the_standard(write, function, formula, slope, intercept):
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, after the rescaling of C.11.1."""
    path = write(
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        RescaleType="HU",
        WindowCenter=[400, 50],
        WindowWidth=[1500, 300],
        VOILUTFunction=function,
    )
    share = np.clip(formula(RAMP * float(slope) + intercept, 400.0, 1500.0), 0, 1)
    assert np.abs(grey(path) - share * 255).max() <= 0.51


def test_a_table_of_values_of_interest_is_looked_up(write):
    table = Dataset()
    table.LUTDescriptor = [256, 0, 8]
    table.LUTData = np.arange(255, -1, -1, dtype="<u2").tobytes()
    values = np.arange(256, dtype=np.uint16).reshape(16, 16)
    assert np.array_equal(grey(write(values, VOILUTSequence=[table])), 255 - values)


def test_of_several_frames_the_middle_one_is_taken(write):
    frames = np.stack([RAMP * 0, RAMP, RAMP * 0])
    assert np.array_equal(grey(write(frames, NumberOfFrames=3)), grey(write()))


@pytest.mark.parametrize("space", ["RGB", "YBR_FULL"])
def test_colours_are_read(write, space):
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:, :4] = (200, 40, 60)
    stored = colours if space == "RGB" else np.asarray(Image.fromarray(colours).convert("YCbCr"))
    path = write(
        stored[..., 0],
        content=stored.tobytes(),
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation=space,
    )
    assert np.abs(np.asarray(image.load(path)).astype(int) - colours).max() <= 2


def test_jpeg_inside_is_decoded(write):
    written = io.BytesIO()
    Image.new("L", (16, 16), 90).save(written, "JPEG")
    blank = np.zeros((16, 16), np.uint8)
    path = write(
        blank,
        syntax=JPEGBaseline8Bit,
        content=encapsulate([written.getvalue()]),
        WindowCenter=128,
        WindowWidth=256,
    )
    assert np.abs(grey(path).astype(int) - 90).max() <= 1


def test_run_lengths_are_decoded(write):
    read = pydicom.dcmread(write())
    read.compress(RLELossless)
    packed = io.BytesIO()
    read.save_as(packed)
    assert PICTURES.check(packed.getvalue()) == PICTURES.check(write())


def test_a_compression_without_a_package_is_named_with_what_is_lacking(write):
    path = write(syntax=JPEGLosslessSV1, content=encapsulate([b"\xff\xd8\xff\xd9"]))
    with pytest.raises(Unreadable, match=r"compressed as JPEG Lossless.*pylibjpeg"):
        image.load(path)


def test_what_cannot_be_shown_is_refused_with_the_reason(write, tmp_path):
    with pytest.raises(Unreadable, match="a DICOM without pixels"):
        image.load(write(None))
    with pytest.raises(Unreadable, match="40000 x 40000 pixels is over the limit"):
        image.load(write(Rows=40_000, Columns=40_000))
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(Unreadable, match="not a DICOM file"):
        image.load(tmp_path / "text.dcm")
    path = write()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(Unreadable, match="cannot be decoded"):
        image.load(path)
    with pytest.raises(Unreadable, match="no such file"):
        image.load(tmp_path / "gone.dcm")


def test_without_pydicom_the_extra_to_install_is_named(write, monkeypatch):
    path = write()
    for module in ("pydicom", "pydicom.pixels"):
        monkeypatch.setitem(sys.modules, module, None)
    dicom._pydicom.cache_clear()
    with pytest.raises(Unreadable, match=r"pip install 'headstart\[medical\]'"):
        image.load(path)
    dicom._pydicom.cache_clear()


@pytest.mark.parametrize(
    ("name", "expected"), [("a.dcm", True), ("IM0001", True), ("1.2.840.7", True), ("a.bin", False)]
)
def test_files_are_recognised_by_name_or_magic(write, name, expected):
    assert PICTURES.recognises(write(name=name)) is expected


def test_bytes_are_recognised_and_sizes_come_from_the_header(write):
    path = write()
    assert PICTURES.recognises(path.read_bytes())
    assert PICTURES.sizes([path, path.read_bytes()]) == [16, 16]


def test_class_folders_of_files_without_suffix_are_read(write, tmp_path):
    for i in range(3):
        for kind in ("ill", "well"):
            (tmp_path / "scans" / kind).mkdir(parents=True, exist_ok=True)
            write(RAMP + i, name=f"scans/{kind}/IM{i}")
    write(None, name="scans/ill/report")
    (tmp_path / "scans" / "ill" / "noname").write_text("a text")
    dataset = read(tmp_path / "scans")
    assert dataset.modality == "image" and len(dataset) == 6
    assert {s.where: s.reason for s in dataset.set_aside} == {
        "ill/noname": "no recording, picture or text, by its name",
        "ill/report": "a DICOM without pixels",
    }
