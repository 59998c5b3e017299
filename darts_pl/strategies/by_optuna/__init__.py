"""Strategies of the library Optuna."""
