"""The user's own arrays: what is read, and how each malformed file is refused."""

import pathlib

import numpy as np
import pytest

from darts_pl.data import load
from darts_pl.errors import UserError


def good_arrays():
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (12, 8, 9, 3)).astype(np.uint8),
        "y_train": np.arange(12, dtype=np.uint8) % 3,
        "x_test": rng.integers(0, 256, (6, 8, 9, 3)).astype(np.uint8),
        "y_test": np.arange(6) % 3,
    }


def write(path, **changes):
    arrays = {**good_arrays(), **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return str(path)


def test_a_plain_file_is_read_as_it_is(tmp_path):
    arrays = load("npz", write(tmp_path / "a.npz", class_names=np.array(["cat", "dog", "eel"])))
    expected = good_arrays()
    for key, value in expected.items():
        assert np.array_equal(getattr(arrays, key), value)
    assert arrays.x_train.dtype == np.uint8
    assert arrays.y_train.dtype == arrays.y_test.dtype == np.int64
    assert arrays.class_names == ("cat", "dog", "eel")
    assert (arrays.height, arrays.width, arrays.channels, arrays.classes) == (8, 9, 3, 3)


def test_grey_images_get_a_channel_and_classes_are_counted(tmp_path):
    changes = {key: value[..., 0] for key, value in good_arrays().items() if key.startswith("x")}
    arrays = load("npz", write(tmp_path / "a.npz", **changes))
    assert arrays.x_train.shape == (12, 8, 9, 1)
    assert arrays.class_names == ("0", "1", "2")


def test_floats_between_zero_and_one_become_the_pixels_they_were(tmp_path):
    changes = {key: (value / 255).astype(np.float32) for key, value in good_arrays().items() if key.startswith("x")}
    arrays = load("npz", write(tmp_path / "a.npz", **changes))
    assert np.array_equal(arrays.x_train, good_arrays()["x_train"])


def test_a_compressed_file_and_a_relative_home_path_are_read(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", **good_arrays())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert len(load("npz", "~/a.npz").x_train) == 12


def images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("shape", [(12, 16, 16), (3, 8, 9), (1, 28, 28), (5, 9, 32)])
def test_channels_first_are_read_where_the_layout_says_so(shape, tmp_path):
    first = {"x_train": images(12, *shape), "x_test": images(6, *shape, seed=1)}
    path = write(tmp_path / "a.npz", **first)
    arrays = load("npz", path, layout="nchw")
    for key, value in first.items():
        assert np.array_equal(getattr(arrays, key), np.moveaxis(value, 1, -1))
    assert (arrays.channels, arrays.height, arrays.width) == shape
    last = {key: np.moveaxis(value, 1, -1) for key, value in first.items()}
    again = load("npz", write(tmp_path / "b.npz", **last), layout="nhwc")
    assert np.array_equal(again.x_train, arrays.x_train)
    assert again.identity == arrays.identity


@pytest.mark.parametrize("shape", [(8, 9, 3), (8, 8, 4), (64, 64, 13), (9, 9, 5), (16, 16, 12), (28, 28, 1)])
def test_a_shape_with_few_channels_or_square_images_tells_its_layout(shape, tmp_path):
    arrays = load("npz", write(tmp_path / "a.npz", x_train=images(12, *shape), x_test=images(6, *shape)))
    assert arrays.x_train.shape[1:] == shape


@pytest.mark.parametrize("shape", [(12, 16, 16), (13, 64, 64), (16, 16, 16), (8, 9, 12), (12, 16, 20)])
def test_a_shape_of_either_layout_is_refused_with_the_line_that_transposes_it(shape, tmp_path):
    path = write(tmp_path / "a.npz", x_train=images(12, *shape), x_test=images(6, *shape))
    expected = r"may be \[N, C, H, W\].*data.layout=nchw or data.layout=nhwc.*x_train.transpose\(0, 2, 3, 1\)"
    with pytest.raises(UserError, match=expected) as refusal:
        load("npz", path)
    assert "\n" not in str(refusal.value)
    # What the message says to store is read as it is.
    line = {key: images(count, *shape).transpose(0, 2, 3, 1) for key, count in (("x_train", 12), ("x_test", 6))}
    first = load("npz", path, layout="nchw")
    assert np.array_equal(load("npz", write(tmp_path / "b.npz", **line), layout="nhwc").x_train, first.x_train)


def test_grey_images_have_one_layout(tmp_path):
    path = write(tmp_path / "a.npz", x_train=images(12, 8, 9), x_test=images(6, 8, 9))
    for layout in ("auto", "nhwc", "nchw"):
        assert load("npz", path, layout=layout).x_train.shape == (12, 8, 9, 1)


def test_a_layout_is_refused_where_the_data_have_one_of_their_own():
    with pytest.raises(UserError, match=r"^data\.layout=nchw: data=digits has a layout of its own; .*auto$"):
        load("digits", layout="nchw")


def nan_images():
    images = np.full((12, 8, 9, 3), 0.5, np.float32)
    images[3, 2, 1, 0] = np.nan
    return images


MALFORMED = {
    "a missing key": ({"y_test": None}, "y_test missing; the file holds x_train, y_train, x_test"),
    "flat images": ({"x_train": np.zeros((12, 64), np.uint8)}, r"x_train has shape \(12, 64\); expected \[N, H, W\]"),
    "channels first": ({"x_train": np.zeros((12, 3, 8, 9), np.uint8)}, "looks like .N, C, H, W.*transpose"),
    "another test size": ({"x_test": np.zeros((6, 8, 8, 3), np.uint8)}, "both must have one size"),
    "a label too few": ({"y_train": np.arange(11) % 3}, "12 images but y_train 11 labels"),
    "a column of labels": ({"y_train": np.zeros((12, 1), np.int64)}, r"y_train has shape \(12, 1\); expected \[N\]"),
    "float labels": ({"y_train": np.arange(12) % 3 * 1.0}, "y_train is float64; labels must be integers"),
    "a negative label": ({"y_train": np.arange(12) % 3 - 1}, "y_train holds the label -1"),
    "a negative test label": ({"y_test": np.arange(6) % 3 - 1}, "y_test holds the label -1"),
    "a label beyond the names": ({"class_names": np.array(["a", "b"])}, "y_train holds the label 2; with 2 classes"),
    "a test label never trained": ({"y_test": np.arange(6)}, "y_test holds the label 5; with 3 classes"),
    "labels from one": ({"y_train": np.arange(12) % 3 + 1}, "no label 0 but goes up to 3"),
    "one class": ({"y_train": np.zeros(12, int), "y_test": np.zeros(6, int)}, "only 1 class"),
    "NaN": ({"x_train": nan_images()}, "x_train holds NaN in 1 places"),
    "infinity": ({"x_train": np.full((12, 8, 9, 3), np.inf)}, r"floats from inf to inf; floats must lie in \[0, 1\]"),
    "floats up to 255": ({"x_train": np.full((12, 8, 9, 3), 200.0)}, "floats from 200 to 200.*must be uint8"),
    "integers that are no bytes": ({"x_train": np.zeros((12, 8, 9, 3), np.int64)}, "x_train is int64; expected uint8"),
    "complex pixels": ({"x_train": np.zeros((12, 8, 9, 3), complex)}, "x_train is complex128; expected uint8"),
    "pickled images": ({"x_train": np.array([{}] * 12, dtype=object)}, "x_train holds pickled Python objects"),
    "pickled names": ({"class_names": np.array(["a", "b", 3], dtype=object)}, "class_names holds pickled"),
    "names that are numbers": ({"class_names": np.arange(3)}, "class_names is int64 of shape"),
    "no training images": ({"x_train": np.zeros((0, 8, 9, 3), np.uint8), "y_train": np.zeros(0, int)}, "x_train is em"),
    "no test images": ({"x_test": np.zeros((0, 8, 9, 3), np.uint8), "y_test": np.zeros(0, int)}, "x_test is empty"),
    "images without pixels": ({"x_train": np.zeros((12, 0, 9, 3), np.uint8)}, "x_train is empty"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_array_is_refused_in_a_few_clear_lines(case, tmp_path):
    changes, expected = MALFORMED[case]
    path = write(tmp_path / "bad.npz", **changes)
    with pytest.raises(UserError, match=f"(?s){expected}") as refusal:
        load("npz", path)
    assert str(refusal.value).startswith(path)
    assert str(refusal.value).count("\n") <= 2


def truncated(path):
    write(path)
    path.write_bytes(path.read_bytes()[:2000])


def damaged(path):
    write(path)
    content = bytearray(path.read_bytes())
    content[600:620] = bytes(255 - byte for byte in content[600:620])
    path.write_bytes(content)


def single_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def pickle_file(path):
    path.write_bytes(b"\x80\x04K\x01.")


BROKEN = {
    "no file": (lambda path: None, "there is no such file"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "an empty file": (lambda path: path.touch(), "not an npz file"),
    "text": (lambda path: path.write_text("x_train: none\n"), "not an npz file"),
    "a pickle": (pickle_file, "not an npz file"),
    "a truncated file": (truncated, "truncated"),
    "a damaged array": (damaged, "x_train is damaged"),
    "a single array": (single_array, "holds a single array"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_no_npz_is_refused_in_one_clear_line(case, tmp_path):
    make, expected = BROKEN[case]
    path = tmp_path / "bad.npz"
    make(path)
    with pytest.raises(UserError, match=expected) as refusal:
        load("npz", str(path))
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_path_says_which_key_to_set():
    with pytest.raises(UserError, match=r"data\.path=FILE"):
        load("npz", None)


def test_a_pickled_array_never_runs_its_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "sprung",)

    path = write(tmp_path / "trap.npz", x_train=np.array([Trap()] * 12, dtype=object))
    with pytest.raises(UserError, match="pickled"):
        load("npz", path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.real_data("cifar10-lossless-5k.npz")
def test_the_first_cifar_images_are_read(real_data):
    arrays = load("npz", str(real_data))
    assert arrays.x_train.shape == (4000, 32, 32, 3)
    assert arrays.x_test.shape == (1000, 32, 32, 3)
    assert arrays.classes == 10
    assert "frog" in arrays.class_names
