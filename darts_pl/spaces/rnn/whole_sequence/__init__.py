"""A recurrent cell over a whole sequence as one function with a gradient of its own.

Autograd takes a sequence step by step: for every step a product for the gradient of each matrix, which is then
added to that of the other steps, and all that every elementwise function reads is kept. Here a step keeps the
pre-activations and the states, the rest is computed again, and the gradient of a matrix is one product over
all steps. Values and gradients are those of the cells' own `output`, in another order of summation.

What is differentiated twice goes through the cells' own `output`, as does an activation whose derivative is
not known here.
"""

from darts_pl.spaces.rnn.whole_sequence.derived import Readers, derived_sequence
from darts_pl.spaces.rnn.whole_sequence.mixed import mixed_sequence
from darts_pl.spaces.rnn.whole_sequence.slopes import slope_is_known

__all__ = ["Readers", "derived_sequence", "mixed_sequence", "slope_is_known"]
