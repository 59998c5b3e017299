"""Batch augmentation against torchvision's per-sample transforms and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from darts_pl.data import Augmentation, channel_statistics
from darts_pl.data.augment import CENTRE_COLUMN, CENTRE_ROW, crop_and_flip, cut_out, normalize


def generator(seed):
    return torch.Generator().manual_seed(seed)


def distinct_image(height=5, width=6, channels=3):
    """An image [H, W, C] in which no two pixels are equal and none is zero."""
    return (1 + torch.arange(height * width * channels)).to(torch.uint8).reshape(height, width, channels)


def outcomes(image, padding, flip):
    """Every crop and flip that torchvision can make of an image, as bytes -> number."""
    chw = image.permute(2, 0, 1)
    padded = tv.pad(chw, [padding] * 4)
    found = []
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = tv.crop(padded, top, left, *chw.shape[1:])
            found += [crop, tv.horizontal_flip(crop)] if flip else [crop]
    numbers = {crop.contiguous().numpy().tobytes(): number for number, crop in enumerate(found)}
    assert len(numbers) == len(found)
    return numbers


def histogram(crops_chw, numbers):
    """How often each outcome occurs; a KeyError where an image is none of them."""
    seen = [numbers[crop.contiguous().numpy().tobytes()] for crop in crops_chw]
    return np.bincount(seen, minlength=len(numbers))


@pytest.mark.parametrize(("padding", "flip"), [(2, True), (4, False), (0, True), (3, True)])
def test_crop_and_flip_make_each_of_torchvisions_outcomes_equally_often(padding, flip):
    image = distinct_image()
    numbers = outcomes(image, padding, flip)
    augmentation = Augmentation(crop_padding=padding, flip=flip)
    draws = augmentation.draw(8000, *image.shape[:2], generator(0))
    ours = histogram(crop_and_flip(image.expand(8000, -1, -1, -1), draws, padding).permute(0, 3, 1, 2), numbers)
    assert stats.chisquare(ours).pvalue > 1e-3


def test_crop_and_flip_have_the_distribution_of_torchvisions_random_transforms():
    image, padding = distinct_image(), 1
    numbers = outcomes(image, padding, flip=True)
    draws = Augmentation(crop_padding=padding, flip=True).draw(3000, *image.shape[:2], generator(1))
    ours = histogram(crop_and_flip(image.expand(3000, -1, -1, -1), draws, padding).permute(0, 3, 1, 2), numbers)
    transform = v2.Compose([v2.RandomCrop(list(image.shape[:2]), padding=padding), v2.RandomHorizontalFlip()])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = histogram([transform(image.permute(2, 0, 1)) for _ in range(3000)], numbers)
    assert stats.chi2_contingency(np.stack([ours, theirs])).pvalue > 1e-3


def test_each_sample_keeps_its_own_pixels_and_draws_of_neighbours_are_independent():
    images = torch.stack([torch.full((4, 4, 1), 10 * (number + 1), dtype=torch.uint8) for number in range(20)])
    draws = Augmentation(crop_padding=1, flip=True).draw(20, 4, 4, generator(0))
    out = crop_and_flip(images, draws, 1)
    assert torch.equal(out.amax(dim=(1, 2, 3)), images[:, 0, 0, 0])
    table = Augmentation(crop_padding=4, flip=True).draw(20000, 32, 32, generator(0)).double()
    columns = torch.cat([table[:-1], table[1:]], dim=1)
    correlation = torch.corrcoef(columns.T) - torch.eye(10)
    assert correlation.abs().max() < 5 / math.sqrt(20000)


def test_draws_stay_in_range_and_a_larger_batch_begins_with_the_draws_of_a_smaller_one():
    augmentation = Augmentation(crop_padding=4, flip=True, cutout=16)
    table = augmentation.draw(50000, 30, 34, generator(3))
    assert table.dtype == torch.int64
    assert table.amin(dim=0).tolist() == [0, 0, 0, 0, 0]
    assert table.amax(dim=0).tolist() == [8, 8, 1, 29, 33]
    for smaller in (1, 7, 16, 64, 1000):
        assert torch.equal(augmentation.draw(smaller, 30, 34, generator(3)), table[:smaller])
    assert not Augmentation(crop_padding=4, flip=False).draw(100, 8, 8, generator(0))[:, 2].any()


@pytest.mark.parametrize("channels", [1, 3])
def test_normalisation_is_torchvisions_and_channels_last(channels):
    images = torch.randint(0, 256, (6, 8, 9, channels), generator=generator(0), dtype=torch.uint8)
    mean, std = torch.tensor([0.49, 0.48, 0.45][:channels]), torch.tensor([0.25, 0.24, 0.26][:channels])
    out = normalize(images, mean, std)
    pixels = tv.to_dtype(images.permute(0, 3, 1, 2), torch.float32, scale=True)
    torch.testing.assert_close(out, tv.normalize(pixels, mean.tolist(), std.tolist()), atol=1e-6, rtol=1e-6)
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("side", [2, 16, 32, 64])
def test_cutout_erases_the_square_of_the_published_code_for_every_centre(side):
    height, width = 32, 28
    centres = torch.cartesian_prod(torch.arange(height), torch.arange(width))
    draws = torch.zeros(len(centres), 5, dtype=torch.int64)
    draws[:, CENTRE_ROW], draws[:, CENTRE_COLUMN] = centres[:, 0], centres[:, 1]
    out = cut_out(torch.ones(len(centres), 1, height, width), draws, side)
    for index in range(0, len(centres), 11):
        row, column = centres[index].tolist()
        mask = np.ones((height, width), np.float32)
        top, bottom = np.clip(row - side // 2, 0, height), np.clip(row + side // 2, 0, height)
        left, right = np.clip(column - side // 2, 0, width), np.clip(column + side // 2, 0, width)
        mask[top:bottom, left:right] = 0
        assert np.array_equal(out[index, 0].numpy(), mask)


def test_cutout_covers_the_expected_share_of_the_image_and_of_its_corner():
    size, side, samples = 32, 16, 20000
    augmentation = Augmentation(crop_padding=0, flip=False, cutout=side)
    draws = augmentation.draw(samples, size, size, generator(0))
    erased = (cut_out(torch.ones(samples, 1, size, size), draws, side) == 0).float()
    half = side // 2
    expected_area = (side - half**2 / size) ** 2
    areas = erased.sum(dim=(1, 2, 3))
    assert abs(areas.mean() - expected_area) < 4 * areas.std() / math.sqrt(samples)
    corner = ((half + 1) / size) ** 2
    assert abs(erased[:, 0, 0, 0].mean() - corner) < 4 * math.sqrt(corner / samples)


def test_an_odd_square_is_as_large_as_it_says():
    draws = torch.tensor([[0, 0, 0, 4, 4]])
    erased = cut_out(torch.ones(1, 2, 9, 9), draws, 3) == 0
    assert erased.sum() == 2 * 9
    assert erased[0, :, 3:6, 3:6].all()


def test_the_erased_square_holds_the_mean_colour_in_every_channel():
    images = torch.randint(1, 256, (8, 16, 16, 3), generator=generator(0), dtype=torch.uint8)
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.4])
    augmentation = Augmentation(crop_padding=2, flip=True, cutout=6)
    draws = augmentation.draw(8, 16, 16, generator(4))
    out = augmentation.apply(images, draws, mean, std)
    plain = normalize(crop_and_flip(images, draws, 2), mean, std)
    changed = (out != plain).any(dim=1)
    assert out.shape == (8, 3, 16, 16)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert changed.flatten(1).any(dim=1).all()
    assert (out.permute(0, 2, 3, 1)[changed] == 0).all()


def test_channel_statistics_are_numpys_and_a_constant_channel_can_be_divided_by():
    images = np.random.default_rng(0).integers(0, 256, (20, 7, 5, 3)).astype(np.uint8)
    images[..., 2] = 51
    mean, std = channel_statistics(images)
    pixels = images / 255
    assert mean == pytest.approx(pixels.mean(axis=(0, 1, 2)), abs=1e-12)
    assert std[:2] == pytest.approx(pixels.std(axis=(0, 1, 2))[:2], abs=1e-12)
    assert std[2] == 1.0
