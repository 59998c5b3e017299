"""How one photo is read: upright, in RGB, and never black without a word."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from darts_pl.data.photos.reading import BrokenPhotoError, read_photo


def write(path, size=(40, 30), mode="RGB", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


def read(path):
    photo = read_photo(str(path))
    assert photo.mode == "RGB"
    return np.asarray(photo)


def grey(values):
    return np.repeat(np.asarray(values, dtype=np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("mode", "ending"), [("L", "png"), ("P", "png"), ("CMYK", "jpg"), ("RGBA", "png"), ("LA", "png"), ("1", "png")]
)
def test_a_photo_of_any_mode_is_read_as_pillow_converts_it(tmp_path, mode, ending):
    path = tmp_path / f"photo.{ending}"
    write(path, mode=mode)
    with Image.open(path) as other:
        assert other.mode == mode
        assert np.array_equal(read(path), np.asarray(other.convert("RGB")))


def test_a_grey_photo_of_16_bits_keeps_its_upper_8(tmp_path):
    values = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert np.array_equal(read(tmp_path / "deep.png"), grey(values >> 8))


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_16_bits_are_read_alike_from_every_format(ending, tmp_path):
    values = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    Image.fromarray(values).save(tmp_path / f"deep.{ending}")
    assert np.array_equal(read(tmp_path / f"deep.{ending}"), grey(values >> 8))


@pytest.mark.parametrize("largest", [255, 1023, 4095, 16383])
def test_a_tiff_that_states_its_largest_value_is_scaled_by_it(largest, tmp_path):
    values = np.linspace(0, largest, 1024).astype(np.uint16).reshape(32, 32)
    Image.fromarray(values).save(tmp_path / "deep.tif", tiffinfo={281: largest})
    assert np.array_equal(read(tmp_path / "deep.tif"), grey(np.floor(values / ((largest + 1) / 256))))


def packed_12_bits(values):
    """A TIFF of 12 bits per sample in one strip, two values in three bytes (TIFF 6.0, section 2)."""
    first, second = values.reshape(-1, 2).T.astype(np.uint16)
    pixels = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8).tobytes()
    height, width = values.shape
    tags = [(256, width), (257, height), (258, 12), (259, 1), (262, 1), (273, 122), (277, 1), (278, height)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in [*tags, (279, len(pixels))])
    return struct.pack("<2sHIH", b"II", 42, 8, 9) + entries + struct.pack("<I", 0) + pixels


def test_a_tiff_of_12_bits_per_sample_is_scaled_by_12_bits(tmp_path):
    values = np.arange(0, 4096, 4, dtype=np.uint16).reshape(32, 32)
    (tmp_path / "deep.tif").write_bytes(packed_12_bits(values))
    assert np.array_equal(read(tmp_path / "deep.tif"), grey(values >> 4))


@pytest.mark.parametrize("stated", [100, 65535])
def test_a_stated_range_that_the_values_exceed_or_that_is_16_bits_changes_nothing(stated, tmp_path):
    values = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    Image.fromarray(values).save(tmp_path / "deep.tif", tiffinfo={281: stated})
    assert np.array_equal(read(tmp_path / "deep.tif"), grey(values >> 8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("ending", "mode"), [("jpg", "L"), ("png", "RGB"), ("webp", "RGB"), ("tif", "L"), ("tif", "CMYK")]
)
def test_a_photo_is_turned_upright_as_pillow_turns_it(orientation, ending, mode, tmp_path):
    path, same = tmp_path / f"turned.{ending}", tmp_path / f"same.{ending}"
    pixels = np.random.default_rng(0).integers(0, 256, (10, 20, 3), dtype=np.uint8)
    stored, exif = Image.fromarray(pixels).convert(mode), Image.Exif()
    exif[0x0112] = orientation
    stored.save(path, exif=exif)
    stored.save(same)
    decoded = Image.fromarray(read(same))
    decoded.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(decoded))
    assert expected.shape == ((20, 10, 3) if orientation > 4 else (10, 20, 3))
    assert np.array_equal(read(path), expected)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_a_photo_of_any_mode_is_turned(mode, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees: the first stored row is the right column
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[0] = 255
    Image.fromarray(pixels).convert(mode).save(tmp_path / "turned.tif", exif=exif)
    upright = read(tmp_path / "turned.tif")
    assert upright.shape == (16, 8, 3)
    assert upright[:, -1].min() > upright[:, :-1].max()


@pytest.mark.parametrize("orientation", [0, 9, 255, "6", b"nonsense"])
def test_an_orientation_that_means_nothing_leaves_the_photo_as_it_is(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "a description"
    write(tmp_path / "plain.png")
    with Image.open(tmp_path / "plain.png") as photo:
        if isinstance(orientation, int):
            exif[0x0112] = orientation
            photo.save(tmp_path / "odd.png", exif=exif)
        else:
            photo.save(tmp_path / "odd.png", exif=b"Exif\x00\x00" + str(orientation).encode())
    assert np.array_equal(read(tmp_path / "odd.png"), read(tmp_path / "plain.png"))


@pytest.mark.parametrize("low", [0.0, 0.25])
@pytest.mark.parametrize("high", [1.0, 0.75])
def test_floats_between_zero_and_one_are_scaled(low, high, tmp_path):
    values = np.linspace(low, high, 256, dtype=np.float32).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "float.tif")
    assert np.array_equal(read(tmp_path / "float.tif"), grey(np.rint(values * np.float32(255))))


REFUSED = {
    "32-bit integers": (np.full((8, 8), 2**20, np.int32), "32-bit integers"),
    "32-bit integers that are bytes": (np.full((8, 8), 200, np.int32), "32-bit integers"),
    "floats up to 255": (np.full((8, 8), 200, np.float32), "floats from 200 to 200; floats must lie in .0, 1."),
    "negative floats": (np.full((8, 8), -0.5, np.float32), "floats from -0.5 to -0.5"),
    "floats that are no numbers": (np.full((8, 8), np.nan, np.float32), "floats from nan to nan"),
    "bytes stored in 16 bits": (
        np.full((8, 8), 200, np.uint16),
        "16-bit values up to 200 of 65535, which would be black",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_numbers_of_no_known_range_are_refused_with_the_file(case, tmp_path):
    values, expected = REFUSED[case]
    Image.fromarray(values).save(tmp_path / "odd.tif")
    with pytest.raises(BrokenPhotoError, match=rf"odd\.tif: not a readable photo \({expected}"):
        read_photo(str(tmp_path / "odd.tif"))


@pytest.mark.parametrize("content", [b"not a photo", b"", b"<!DOCTYPE html><html>", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_photo_is_told_without_the_name_of_a_python_object(content, tmp_path):
    (tmp_path / "odd.png").write_bytes(content)
    with pytest.raises(BrokenPhotoError, match=r"odd\.png: not a readable photo \([^<>]+\)$"):
        read_photo(str(tmp_path / "odd.png"))


def test_a_photo_that_is_black_is_read_as_black(tmp_path):
    for name, values in (("deep", np.zeros((4, 4), np.uint16)), ("float", np.zeros((4, 4), np.float32))):
        Image.fromarray(values).save(tmp_path / f"{name}.tif")
        assert read(tmp_path / f"{name}.tif").max() == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_transparent_places_are_white(mode, tmp_path):
    """A black shape on a transparent ground, whose hidden colour is black as well."""
    opaque = np.zeros((8, 8), bool)
    opaque[2:6, 2:6] = True
    path = tmp_path / "shape.png"
    if mode in ("RGBA", "LA"):
        shape = np.zeros((8, 8, len(mode)), np.uint8)
        shape[..., -1] = opaque * 255
        Image.fromarray(shape, mode).save(path)
    else:  # one colour is transparent
        values = np.where(opaque, 0, 7).astype(np.uint8)
        photo = Image.fromarray(values, "L")
        if mode == "P":
            photo = Image.fromarray(values, "P")
            photo.putpalette([0, 0, 0] * 256)
        photo.convert(mode).save(path, transparency=(7, 7, 7) if mode == "RGB" else 7)
    assert np.array_equal(read(path), grey(np.where(opaque, 0, 255)))


@pytest.mark.parametrize("alpha", [0, 51, 102, 255])
def test_half_transparent_places_are_mixed_with_white(alpha, tmp_path):
    pixels = np.full((4, 4, 4), (100, 0, 200, alpha), np.uint8)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "glass.png")
    expected = np.array([100, 0, 200]) * (alpha / 255) + 255 * (1 - alpha / 255)
    assert np.abs(read(tmp_path / "glass.png").reshape(-1, 3) - expected).max() <= 1
