"""Which process owns a folder: locks, and claims of runs."""
