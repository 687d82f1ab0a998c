"""
Virtual time: moto's interpreter without any sleeping, the same for the same seed.

    with VirtualTime(seed=7) as virtual, mock_aws(…), install(virtual.clock):
        client.start_execution(…)
        virtual.run_until(has_ended)
        virtual.trace.digest

Threads are real, but only the one that holds the baton runs. It gives the baton away when it waits, and the seed says
who gets it next. When all wait, time jumps to the first deadline. So an hour's wait takes no time, a time-out fires at
its second and never because this machine is slow, and an unlucky interleaving can be run again.
"""

from rehearsal.engine.virtual.choices import Biased, Choice, Chooser, Recorded, Replayed, Request, Steady, Uniform
from rehearsal.engine.virtual.scheduler import Deadlock, NotTakingPart, Stuck, ThreadsLeft
from rehearsal.engine.virtual.trace import Trace
from rehearsal.engine.virtual.virtual_time import VirtualClock, VirtualTime

__all__ = [
    "Biased",
    "Choice",
    "Chooser",
    "Deadlock",
    "NotTakingPart",
    "Recorded",
    "Replayed",
    "Request",
    "Steady",
    "Stuck",
    "ThreadsLeft",
    "Trace",
    "Uniform",
    "VirtualClock",
    "VirtualTime",
]
