"""The verdict on plays in which humans interfere and losers' writes come late, without what has to be so then."""

from rehearsal.invariants import SERVED
from rehearsal.report import Report
from rehearsal.stage import Stage
from rehearsal.sweep.chronicle import Chronicle
from rehearsal.sweep.verdicts import problems_of

_SOMEBODY = "somebody"
"""Who moves a listener by hand, as reports call him."""

_REFUSED = ("nobody was told of operate, ", "nobody was told of rollback, FAILED at Rollback not possible")
"""What a human asks for in vain he sees himself: both are started by nobody else, and change nothing."""

_DIVIDED = "the routes end on "


def problems_in(chronicle: Chronicle, stage: Stage, report: Report) -> list[str]:
    """
    Return what did not hold, in words, but for three things.

    Where a human was the last to divide the traffic it stays as he has put it: Runback does not fight humans. What he
    asks for in vain, he sees. And no write to a load balancer can be conditional, so that a loser's may come late: that
    it is undone is checked, and the color that gets traffic by it was healthy until it was not looked at any more.
    """
    known = _REFUSED
    if report.moves and report.moves[-1].by == _SOMEBODY:
        known = (*known, _DIVIDED)
    late = tuple(f"(call {number})" for number in chronicle.shows_late_write)
    return [
        each
        for each in problems_of(stage, report)
        if not each.startswith(known) and not (late and each.startswith(SERVED) and each.endswith(late))
    ]
