"""One convolutional genotype and one recurrent genotype, built from their parts."""

from darts_pl.genotype import CellGenotype, Genotype, Pair

TEXT = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ('sep_conv_5x5', 2), ('max_pool_3x3', 0)], "
    "normal_concat=[2, 3], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('avg_pool_3x3', 1)], reduce_concat=[3])"
)
JSON = """{
  "kind": "cnn",
  "normal": [["sep_conv_3x3", 0], ["skip_connect", 1], ["sep_conv_5x5", 2], ["max_pool_3x3", 0]],
  "normal_concat": [2, 3],
  "reduce": [["max_pool_3x3", 0], ["max_pool_3x3", 1], ["skip_connect", 2], ["avg_pool_3x3", 1]],
  "reduce_concat": [3]
}"""
RECURRENT_TEXT = "Genotype(recurrent=[('sigmoid', 0), ('relu', 1), ('tanh', 1)], concat=range(1, 4))"


def written_out() -> Genotype:
    """What TEXT and JSON say."""
    normal = CellGenotype(
        nodes=((Pair("sep_conv_3x3", 0), Pair("skip_connect", 1)), (Pair("sep_conv_5x5", 2), Pair("max_pool_3x3", 0))),
        concat=(2, 3),
    )
    reduction = CellGenotype(
        nodes=((Pair("max_pool_3x3", 0), Pair("max_pool_3x3", 1)), (Pair("skip_connect", 2), Pair("avg_pool_3x3", 1))),
        concat=(3,),
    )
    return Genotype("cnn", {"normal": normal, "reduce": reduction})


def recurrent_written_out() -> Genotype:
    """What RECURRENT_TEXT says."""
    cell = CellGenotype(nodes=((Pair("sigmoid", 0),), (Pair("relu", 1),), (Pair("tanh", 1),)), concat=(1, 2, 3))
    return Genotype("rnn", {"recurrent": cell})
