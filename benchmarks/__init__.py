"""How fast the program is beside the form of the published code: `python -m benchmarks`."""
