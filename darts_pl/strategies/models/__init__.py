"""Strategies that fit a model to the scores so far."""
