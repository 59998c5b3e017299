"""task=protocol: several searches, a choice among what they found, and full trainings of the best."""

from darts_pl.tasks.protocol.protocol import protocol
from darts_pl.tasks.protocol.settings import ProtocolSettings

__all__ = ["ProtocolSettings", "protocol"]
