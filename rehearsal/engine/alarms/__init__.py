"""CloudWatch's alarms, as AWS evaluates them and tells of them; moto only keeps them."""

from rehearsal.engine.alarms.alarms import Alarms, Notification

__all__ = ["Alarms", "Notification"]
