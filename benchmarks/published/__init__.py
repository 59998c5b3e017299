"""The yardstick: networks and steps in the form that the published code has, written for this comparison.

Nothing in the library imports them. They do what the published code does: every edge is a list of modules
in NCHW, `none` is computed, the state stack of a recurrent cell is concatenated at every node, the virtual
step copies the model, and an alpha step computes the gradients of all weights as well.
"""
