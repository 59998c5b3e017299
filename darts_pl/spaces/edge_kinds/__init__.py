"""Edges of later methods: partial channels, single paths, dropped paths."""
