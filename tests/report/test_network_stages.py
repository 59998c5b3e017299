"""The network of a genotype as a row of stages."""

from pathlib import Path

from omegaconf import OmegaConf

from darts_pl import zoo
from darts_pl.report.page.network_stages import network_of, network_stages

FACTS = {"classes": 10, "channels": 3, "height": 32, "width": 32}
#: The network for CIFAR-10 of Liu et al., "DARTS", ICLR 2019, section 3.2: 20 cells, 36 channels.
TRAIN = Path(__file__).parents[2] / "conf" / "train" / "darts.yaml"


def test_the_stages_add_up_to_the_published_size_and_halve_the_map_twice():
    stages = network_stages(_network(), FACTS)
    assert round(sum(stage.parameters for stage in stages) / 1e6, 1) == 3.3  # the paper's table 1, second order
    assert sum(stage.multiply_adds for stage in stages) == 528_359_040  # recorded from the authors' network
    assert [stage.name for stage in stages if stage.kind == "reduction"] == ["cell 7", "cell 14"]
    shapes = [stage.shape for stage in stages if stage.name.startswith("cell ")]
    sides = [int(shape.rpartition("\N{MULTIPLICATION SIGN}")[2]) for shape in shapes]
    assert sides == [32] * 6 + [16] * 7 + [8] * 7
    assert (stages[0].name, stages[-1].name, stages[-1].shape) == ("stem", "classifier", "10")


def _network():
    train = OmegaConf.to_container(OmegaConf.load(TRAIN)) | {"stem": "cifar"}
    return network_of(zoo.published("darts_v2"), train, FACTS)
