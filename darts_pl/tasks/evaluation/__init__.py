"""Evaluators that open data: a short training, and the shared weights of a search; and the ranking of their answers."""
