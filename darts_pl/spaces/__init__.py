"""Search spaces: as data, as supernets, and as the final networks that genotypes build."""

from darts_pl.spaces.base import SPACES, Drawing, Parts, Space, build_space, register_space, space_of
from darts_pl.spaces.cnn import (
    PAPER_NETWORKS,
    STEMS,
    AuxiliaryTower,
    CellPlan,
    Classifier,
    CnnSupernet,
    FinalCell,
    Stem,
    build_stem,
    plan_cells,
    preprocess,
    reductions,
    size_of,
    tower_fits,
)
from darts_pl.spaces.computed import ComputedPair, PairClass
from darts_pl.spaces.edge_kinds.drop_path import DropPath, DropPathEdges, DropPathSettings
from darts_pl.spaces.edge_kinds.partial_channels import PartialChannels, PartialChannelsSettings, PartialEdges
from darts_pl.spaces.edge_kinds.single_path import DrawnEdges, SinglePath, SinglePathSettings
from darts_pl.spaces.edges import EDGES, Edges, LeavingEdges, Part
from darts_pl.spaces.image_network import ImageNetwork
from darts_pl.spaces.mixed import MixedEdges, PlainEdges
from darts_pl.spaces.mixing import Alive, FixedWeights, Mixing, fix_weights
from darts_pl.spaces.nasbench201 import NasBench201, NasBench201Network, NasBench201Supernet
from darts_pl.spaces.networks import NETWORKS, build
from darts_pl.spaces.relaxation import RELAXATIONS, Relaxation, Softmax
from darts_pl.spaces.relaxations.dirichlet import Dirichlet
from darts_pl.spaces.relaxations.gumbel import Gumbel, GumbelSettings
from darts_pl.spaces.relaxations.sigmoid import Sigmoid
from darts_pl.spaces.rnn import (
    DerivedCell,
    Dropouts,
    GatedCell,
    LanguageModel,
    RnnSupernet,
    SequenceNetwork,
    SequenceOutput,
    slowness,
    word_loss,
)
from darts_pl.spaces.settings import (
    BATCH,
    STORED,
    AlphasSettings,
    ImageSearchSettings,
    SearchSettings,
    WeightsSettings,
    scores_batches,
)
from darts_pl.spaces.sizes import (
    count_multiply_adds,
    count_parameters,
    counting_multiply_adds,
    min_batch_size,
    multiply_adds_of,
)
from darts_pl.spaces.skip import SKIPS, Skip
from darts_pl.spaces.skips.auxiliary import AuxiliaryPath, AuxiliarySkip, AuxiliarySkipSettings
from darts_pl.spaces.skips.dropout import DropoutSkip, DropoutSkipSettings, DroppedIdentity
from darts_pl.spaces.space import CellSpace, SearchSpace, cell_space
from darts_pl.spaces.supernet import Outcome, Supernet
from darts_pl.spaces.tables import Table

__all__ = [
    "BATCH",
    "EDGES",
    "NETWORKS",
    "PAPER_NETWORKS",
    "RELAXATIONS",
    "SKIPS",
    "SPACES",
    "STEMS",
    "STORED",
    "Alive",
    "AlphasSettings",
    "AuxiliaryPath",
    "AuxiliarySkip",
    "AuxiliarySkipSettings",
    "AuxiliaryTower",
    "CellPlan",
    "CellSpace",
    "Classifier",
    "CnnSupernet",
    "ComputedPair",
    "DerivedCell",
    "Dirichlet",
    "Drawing",
    "DrawnEdges",
    "DropPath",
    "DropPathEdges",
    "DropPathSettings",
    "DropoutSkip",
    "DropoutSkipSettings",
    "Dropouts",
    "DroppedIdentity",
    "Edges",
    "FinalCell",
    "FixedWeights",
    "GatedCell",
    "Gumbel",
    "GumbelSettings",
    "ImageNetwork",
    "ImageSearchSettings",
    "LanguageModel",
    "LeavingEdges",
    "MixedEdges",
    "Mixing",
    "NasBench201",
    "NasBench201Network",
    "NasBench201Supernet",
    "Outcome",
    "PairClass",
    "Part",
    "PartialChannels",
    "PartialChannelsSettings",
    "PartialEdges",
    "Parts",
    "PlainEdges",
    "Relaxation",
    "RnnSupernet",
    "SearchSettings",
    "SearchSpace",
    "SequenceNetwork",
    "SequenceOutput",
    "Sigmoid",
    "SinglePath",
    "SinglePathSettings",
    "Skip",
    "Softmax",
    "Space",
    "Stem",
    "Supernet",
    "Table",
    "WeightsSettings",
    "build",
    "build_space",
    "build_stem",
    "cell_space",
    "count_multiply_adds",
    "count_parameters",
    "counting_multiply_adds",
    "fix_weights",
    "min_batch_size",
    "multiply_adds_of",
    "plan_cells",
    "preprocess",
    "reductions",
    "register_space",
    "scores_batches",
    "size_of",
    "slowness",
    "space_of",
    "tower_fits",
    "word_loss",
]
