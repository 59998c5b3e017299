"""The paper's search space, written out a second time: the tests do not read it from the configuration."""

#: Candidates in the order of the authors' code.
CANDIDATES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
