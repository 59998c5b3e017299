"""Times and sizes in readable form."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Seconds in readable form: 42 s, 7 min, 3 h 20 min, 2 days 5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{minutes // 60} h {minutes % 60} min" if hours < 48 else f"{hours // 24} days {hours % 24} h"


def per_step(seconds: float) -> str:
    """The time of one step: 3.4 ms/step, 0.82 s/step, 41 s/step."""
    if seconds < 0.1:
        return f"{1000 * seconds:.1f} ms/step"
    return f"{seconds:.2f} s/step" if seconds < 10 else f"{seconds:.0f} s/step"


def memory(size: float) -> str:
    """Bytes in units of 1e6 or 1e9 bytes: 640 MB, 11.2 GB."""
    return f"{size / 1e6:.0f} MB" if size < 1e10 else f"{size / 1e9:.1f} GB"
