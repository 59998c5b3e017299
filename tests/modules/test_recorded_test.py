"""What a test leaves for the report."""

import gc
from types import SimpleNamespace

import numpy as np
import torch
from sklearn.metrics import confusion_matrix

from darts_pl.callbacks import RecordTest


def record(folder, steps):
    """The arrays that a test with these (outputs, batch) leaves."""
    trainer = SimpleNamespace(
        world_size=1, is_global_zero=True, strategy=SimpleNamespace(reduce=lambda x, reduce_op: x)
    )
    callback = RecordTest(folder)
    callback.on_test_start(trainer, None)
    for index, (outputs, batch) in enumerate(steps):
        callback.on_test_batch_end(trainer, None, outputs, batch, index)
    callback.on_test_end(trainer, None)
    with np.load(folder / "test.npz") as stored:
        return dict(stored)


def test_confusion_matrix_and_worst_images_are_those_of_all_batches(tmp_path):
    draw = torch.Generator().manual_seed(0)
    steps = []
    for _ in range(5):
        logits = torch.randn(20, 4, generator=draw)
        steps.append(({"logits": logits}, (torch.randn(20, 3, 8, 8, generator=draw), torch.arange(20) % 4)))
    found = record(tmp_path, steps)
    labels = torch.cat([batch[1] for _, batch in steps]).numpy()
    logits = torch.cat([outputs["logits"] for outputs, _ in steps])
    np.testing.assert_array_equal(found["confusion"], confusion_matrix(labels, logits.argmax(1).numpy()))
    probabilities = logits.softmax(1)[torch.arange(100), torch.from_numpy(labels)].sort().values[:24]
    np.testing.assert_allclose(found["worst_probability"], probabilities.numpy(), rtol=1e-5)
    assert found["worst_images"].shape == (24, 8, 8, 3)
    assert (found["worst_images"].min(), found["worst_images"].max()) == (0, 255)


def test_the_loss_along_a_text_keeps_the_mean_over_all_words(tmp_path):
    losses = torch.rand(250, generator=torch.Generator().manual_seed(0))
    steps = [({"loss": loss}, (None, torch.zeros(35, 2))) for loss in losses]
    found = record(tmp_path, steps)
    assert len(found["place_loss"]) == 100
    sizes = np.diff(found["place_words"], prepend=0)
    np.testing.assert_allclose(np.average(found["place_loss"], weights=sizes), losses.double().mean(), rtol=1e-6)
    assert found["place_words"][-1] == 250 * 35


def test_no_tensor_of_a_batch_is_kept(tmp_path):
    trainer = SimpleNamespace(world_size=1, is_global_zero=True)
    callback = RecordTest(tmp_path)
    callback.on_test_start(trainer, None)

    def tensors():
        gc.collect()
        return sum(isinstance(one, torch.Tensor) for one in gc.get_objects())

    before = tensors()
    for index in range(30):
        callback.on_test_batch_end(trainer, None, {"loss": torch.rand(())}, (None, torch.zeros(35, 2)), index)
    assert tensors() == before
    images = torch.randn(100, 3, 8, 8)
    callback.on_test_batch_end(trainer, None, {"logits": torch.randn(100, 4)}, (images, torch.arange(100) % 4), 0)
    assert all(image.untyped_storage().nbytes() == 3 * 8 * 8 * 4 for *_, image in callback._worst)
