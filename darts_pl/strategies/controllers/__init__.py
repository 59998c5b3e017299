"""Strategies whose questions a recurrent controller proposes."""
