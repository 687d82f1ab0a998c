"""
Known mistakes: what each is, where it has happened, how it is built in, what shows it, and which check must see it.

Most are one guard less. Where several guards stand behind each other, a mistake takes all of them, or nothing would
be seen: that is what they are for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rehearsal.invariants import LET_GO, LET_IN, ONE_HOLDER, SECRET, SERVED, WAY_BACK
from rehearsal.sweep.mutation import Change, Redrawn, Source, Variable, WithoutRule, left_out, uncaught

_RECORD, _RELEASE, _ROLLBACK = "lambdas/release/record.py", "lambdas/release/rules.py", "lambdas/rollback/rules.py"
_TRAFFIC, _SWITCH = "lambdas/traffic/rules.py", "lambdas/traffic/switch_listener.py"
_ALARMS, _STORES = "lambdas/rollback/alarm_rules.py", "lambdas/checks/check_data_stores.py"


CERTIFICATE_ONLY_WARNS = Variable("certify-rollback", "CERTIFICATE", "enforce", value=False)
"""Let a release begin, whatever its certificate finds: it finds what the way back lacks before anything else does."""


@dataclass(frozen=True)
class Mutant:
    """
    A mistake: what it is, where it has happened, how it is built in, and in which play what must catch it.

    `caught_by` is what every problem that the check finds says.
    """

    name: str
    mistake: str
    lesson: str
    changes: tuple[Change, ...]
    play: str
    caught_by: str

    def __str__(self) -> str:
        return self.name


MUTANTS: Mapping[str, Mutant] = {
    each.name: each
    for each in (
        # -- who may change anything
        Mutant(
            "no lease check",
            "A write says whose lease it goes with, and the table does not compare it",
            "two executions of one machine overlap as soon as somebody stops the first",
            (
                Source(
                    _RECORD,
                    '"ConditionExpression": "#holder = :my_holder AND #token = :my_token",',
                    '"ConditionExpression": "#holder = :my_holder AND #token = :my_token OR attribute_exists(#token)",',
                ),
            ),
            "late-lease-check",
            "blue has 0 % of the traffic",
        ),
        Mutant(
            "claim overwrites",
            "A claim replaces the lease without comparing the token that it has read",
            "a read alone is no fence",
            (
                Source(
                    _RECORD,
                    '"ConditionExpression": "attribute_not_exists(#token)",',
                    '"ConditionExpression": "attribute_not_exists(#token) OR attribute_exists(#token)",',
                ),
            ),
            "two-claims",
            "the deployments ended with",
        ),
        Mutant(
            "claim takes what is held",
            "A deployment claims an environment on which another one works",
            "two pushes in a row",
            (
                Source(
                    _RELEASE,
                    '    if work.holder is not None:\n        raise EnvironmentBusy(\n            f"Release',
                    '    if work.holder == execution:\n        raise EnvironmentBusy(\n            f"Release',
                ),
            ),
            "two-deployments",
            "the executions of deploy ended as",
        ),
        Mutant(
            "rollback over rollback",
            "A rollback takes over from one that is at it already",
            "alarms come in storms",
            (
                Source(
                    _ROLLBACK,
                    '    return Verdict(Action.NOTHING, f"Rollback {work.holder} is at it already.")',
                    '    return _resume(work, "Another one is better.")',
                ),
            ),
            "three-rollbacks",
            "the executions of rollback ended as",
        ),
        Mutant(
            "rollback rolls forward",
            "A rollback leaves its rollback point as it was, so that the next one goes the other way",
            "rolling back twice must equal once",
            (Source(_ROLLBACK, "point, status=PointStatus.CONSUMED, color=live.color", "point, color=live.color"),),
            "three-rollbacks",
            "the executions of rollback ended as",
        ),
        Mutant(
            "old end acts",
            "The end of an execution rolls back whatever is there when it is heard",
            "EventBridge delivers at least once, and in any order",
            (
                Source(
                    _ROLLBACK,
                    "    if request.execution_arn and request.execution_arn != work.holder:",
                    '    if request.execution_arn not in ("", work.holder) and work.phase is not Phase.SHIFTING:',
                ),
            ),
            "old-end-again",
            "the release ended as rolled_back",
        ),
        # -- the switch
        Mutant(
            "no settle",
            "A rollback waits for late writes, but looks at nothing and corrects nothing",
            "a function that has proved its lease cannot be called back",
            (Redrawn("rollback", left_out("Settle listener", {"settled": True})), CERTIFICATE_ONLY_WARNS),
            "late-switch",
            ONE_HOLDER,
        ),
        Mutant(
            "late write stays",
            "Settling finds the loser's write, and takes it for its own",
            "the same, one rule deeper",
            (
                Source(
                    _TRAFFIC,
                    "    if loser_intent is not None and same_shares(now_forwards, loser_intent):\n"
                    "        return Settling(undo=True)",
                    "    if loser_intent is not None and same_shares(now_forwards, loser_intent):\n"
                    "        return Settling()",
                ),
            ),
            "late-switch",
            ONE_HOLDER,
        ),
        Mutant(
            "fights a human",
            "Settling undoes whatever it finds, also what a human has done meanwhile",
            "who works on an outage must not work against a machine",
            (Source(_TRAFFIC, "    return Settling(drifted=True)", "    return Settling(undo=True)"),),
            "moved-while-settling",
            "not the human's",
        ),
        Mutant(
            "overwrites a human",
            "A shift moves a listener that somebody else has moved since the last one",
            "the same, on the way forward",
            (
                Source(
                    _TRAFFIC,
                    "    if not any(same_shares(now_forwards, weights) for weights in allowed):\n",
                    "    if not allowed:\n",
                ),
                Source(
                    "lambdas/judge/way_back_rules.py",
                    "        if not same_shares(forwards, route.weights(other_color(wanted.color), percent)):\n",
                    "        if not forwards:\n",
                ),
            ),
            "listener-moved",
            "not the human's",
        ),
        Mutant(
            "point after the switch",
            "The first shift moves users, and then writes down that there is a way back from it",
            "whatever dies in between leaves users where nobody looks for them",
            (
                Source(
                    _SWITCH,
                    "    _claim_shift(shift, wanted, record)\n    if shift.percent == _FULL:",
                    "    if shift.percent != _FULL:\n"
                    "        changed = _forward_all(routes, actions, wanted, load_balancer)\n"
                    "    _claim_shift(shift, wanted, record)\n    if shift.percent == _FULL:",
                ),
            ),
            "died-at-first-shift",
            "requests reached green",
        ),
        Mutant(
            "weight 0",
            "A rollback leaves the bad color named with weight 0, instead of naming the good one alone",
            "a stickiness cookie outlives the weights",
            (
                Source(
                    _SWITCH,
                    "    wanted = {route.name: route.weights(shift.color, _FULL) for route in routes}\n",
                    "    old, new = shift.color, other_color(shift.color)\n"
                    "    wanted = {r.name: {r.target_group(old): 100, r.target_group(new): 0} for r in routes}\n",
                ),
                Source(
                    _TRAFFIC,
                    "    if set(now_forwards) != set(wanted) and same_shares(now_forwards, wanted):\n"
                    "        return Settling(undo=True)\n",
                    "    if same_shares(now_forwards, wanted):\n        return Settling()\n",
                ),
            ),
            "sticky-clients",
            "sticky clients stayed on green",
        ),
        Mutant(
            "shift to the sick",
            "A shift does not look whether the new color is healthy",
            "what was healthy a minute ago may be dead",
            (Source(_TRAFFIC, "    if health.healthy < wanted:\n", "    if wanted < 0:\n"),),
            "new-color-dies",
            "requests failed",
        ),
        # -- the way back
        Mutant(
            "back to the unhealthy",
            "A rollback goes back to a color of which nothing is healthy",
            "flagger #1898",
            (
                Source(
                    _TRAFFIC,
                    'return WayBackHealth(may_switch=False, concern=f"Color {color} has no healthy target.")',
                    'return WayBackHealth(may_switch=True, concern=f"Color {color} has no healthy target.")',
                ),
            ),
            "old-color-sick",
            SERVED,
        ),
        Mutant(
            "back to the disabled",
            "A rollback goes back to a color that was scaled in, because the record names it still",
            "spinnaker/orca #3341",
            (
                Source(
                    _ROLLBACK,
                    "    if point.status is PointStatus.EXPIRED:\n        return _given_up(live, point)\n",
                    "",
                ),
                Source(
                    _TRAFFIC,
                    "    if measured is not None and measured.unknown == 0:\n",
                    "    if measured is not None and measured.unknown < 0:\n",
                ),
            ),
            "rollback-after-clean-up",
            SERVED,
        ),
        Mutant(
            "way back unchecked",
            "At 100 % the test listener stays with the new color, so that nobody checks the old one any more",
            "a target group that no listener names is not health-checked",
            (
                Source(
                    _SWITCH,
                    "        _keep_old_color_checked(shift, routes, actions, load_balancer)\n    changed",
                    "    changed",
                ),
            ),
            "rollback-later",
            "the release ended as",
        ),
        Mutant(
            "way back not held",
            "The old color may be scaled in while it is the way back",
            "half of the users is half of the load",
            (
                Source(
                    "lambdas/fleet/hold_old_color.py",
                    "    auto_scaling.hold(group)\n    auto_scaling.bound(group, held.minimum, held.maximum)\n",
                    "",
                ),
            ),
            "scaled-in-while-baking",
            WAY_BACK,
        ),
        Mutant(
            "clean-up before commit",
            "A clean-up goes by the clock alone: it neither asks whether the release is promoted nor who works",
            "argo-rollouts #3333",
            (
                Source(
                    _RELEASE,
                    '    if point.window_ends_at is None:\n        return f"Release {live.release_id} is not promoted',
                    '    if point.window_ends_at == 0:\n        return f"Release {live.release_id} is not promoted',
                ),
                Source(
                    _RELEASE,
                    "    if work.holder is not None or work.is_frozen:\n        return wait_for_others",
                    "    if work.is_frozen:\n        return wait_for_others",
                ),
            ),
            "clean-up-while-baking",
            "was given up before it was promoted",
        ),
        Mutant(
            "clean-up keeps the point",
            "A clean-up scales the old color in, and the record still calls it a way back",
            "argo-rollouts #3333, the other way round",
            (
                Source(
                    "lambdas/release/claim_clean_up.py",
                    "live=expired(found.live))",
                    "live=found.live)",
                ),
            ),
            "release",
            WAY_BACK,
        ),
        Mutant(
            "next in the window",
            "The next release begins while the live one can be rolled back, and takes its way back",
            "the idle color is not idle",
            (
                Source(
                    _RELEASE,
                    "    if record.live and point and ends_at and in_window is InWindow.REFUSE:",
                    "    if record.live and point and ends_at and in_window is None:",
                ),
            ),
            "next-in-the-window",
            "the executions of deploy ended as",
        ),
        # -- what starts a rollback
        Mutant(
            "no status rule",
            "Nothing hears that an execution has died: users wait for the watchdog",
            "a stopped execution runs no Catch",
            (WithoutRule("unfinished-execution"), CERTIFICATE_ONLY_WARNS),
            "stopped",
            "after the execution died",
        ),
        Mutant(
            "no status rule, and asked",
            "The same, and the release's certificate may refuse",
            "what is missing should be found before it is needed",
            (WithoutRule("unfinished-execution"),),
            "release",
            "the release ended as aborted",
        ),
        Mutant(
            "no status rule, no watchdog",
            "Nothing hears of a death, and nothing looks",
            "events are best effort",
            (WithoutRule("unfinished-execution"), WithoutRule("watchdog"), CERTIFICATE_ONLY_WARNS),
            "stopped",
            LET_GO,
        ),
        Mutant(
            "blind watchdog",
            "The watchdog does not ask whether the holder of the lease runs",
            "a rollback can die, too, and unheard",
            (
                Source(
                    "lambdas/rollback/watchdog.py",
                    '    return work.holder if stuck or not executions.runs(work.holder) else ""',
                    '    return work.holder if stuck else ""',
                ),
            ),
            "stopped-unheard",
            LET_GO,
        ),
        Mutant(
            "no Catch",
            "A step of the deployment has no Catch: the status rule brings users back, and nobody reads why",
            "a deployment that only dies explains nothing",
            (Redrawn("deploy", uncaught("Judge at 50 %")),),
            "bad-under-half",
            "the cause was",
        ),
        Mutant(
            "alarm without phase",
            "An alarm acts outside of its release's window: on the next release",
            "an alarm says that something is wrong, not that the release is to blame",
            (
                Source(
                    _ALARMS,
                    '    if point is None or not point.in_window(now):\n        return "It is outside',
                    '    if point is None:\n        return "It is outside',
                ),
            ),
            "alarm-after-window",
            "the release ended as",
        ),
        Mutant(
            "alarm of the other color",
            "An alarm of the old color rolls back to it",
            "the way back may be what is in trouble",
            (
                Source(
                    _ALARMS,
                    '    if alarm.name.color not in ("", live.color):\n',
                    '    if alarm.name.color == "none":\n',
                ),
                Source(_ALARMS, "    if others:\n", '    if others == ["none"]:\n'),
            ),
            "alarm-of-old-color",
            "the release ended as rolled_back",
        ),
        # -- what is left behind, and who is told
        Mutant(
            "new name for each attempt",
            "A retried step takes another snapshot, because its name is not the release's alone",
            "Step Functions retries what has worked",
            (
                Source(
                    "lambdas/database/rules.py",
                    '    return f"runback-{service}-{environment}-{release_id}"',
                    "    return f\"runback-{service}-{environment}-{release_id}-{__import__('time').time_ns() % 997}\"",
                ),
            ),
            "snapshot-answer-lost",
            "the release ended as aborted",
        ),
        Mutant(
            "thaw that forgets",
            "A thaw says that it is done, and leaves the rule that turns users away",
            "nobody looks at a listener's rules after a restore",
            (Source("lambdas/traffic/thaw_traffic.py", "    for rule in ours:\n", "    for rule in ours[:0]:\n"),),
            "restore",
            LET_IN,
        ),
        Mutant(
            "secret in the state",
            "A function returns the secret that it has read, so that it stands in the execution's history",
            "whoever may read executions reads them all",
            (
                Source(
                    _STORES,
                    '    return {"answered": ["database", "cache"]}',
                    '    return {"answered": ["database", "cache"], "as": secrets.text(settings.database.secret_arn)}',
                ),
            ),
            "release",
            SECRET,
        ),
        Mutant(
            "secret in a log",
            "A function prints the secret that it has read",
            "logs are kept longer than secrets",
            (
                Source(
                    _STORES,
                    "    postgres.answer(credentials)\n",
                    "    print(secrets.text(settings.database.secret_arn))\n    postgres.answer(credentials)\n",
                ),
            ),
            "release",
            SECRET,
        ),
        Mutant(
            "lease kept",
            "A release goes live, and does not give the environment back: the watchdog has to",
            "what is mended in a minute hides for years",
            (Redrawn("deploy", left_out("Release environment")),),
            "release",
            "the executions of rollback ended as",
        ),
        Mutant(
            "idle color left",
            "A release that is given up leaves its instances running",
            "nobody sees what nobody uses",
            (Redrawn("rollback", left_out("Scale idle color back", {"active": "blue"})), CERTIFICATE_ONLY_WARNS),
            "died-at-first-shift",
            "is idle and has",
        ),
        Mutant(
            "abort under users",
            "A release that is given up scales its color in, whoever has sent users there meanwhile",
            "what nobody was sent to by us may have users all the same",
            (
                Source(
                    "lambdas/fleet/scale_back_idle_color.py",
                    '    require_unused(idle["color"], settings.routes, '
                    "load_balancer.forwards(route.arn for route in settings.routes))\n",
                    "",
                ),
            ),
            "moved-and-aborted",
            "nothing of ours scales in what users are sent to",
        ),
        Mutant(
            "nobody is paged",
            "What is left to a human is told to none",
            "a machine that gives up in silence",
            (Redrawn("deploy", left_out("Page a human")),),
            "listener-moved",
            "nobody was paged",
        ),
        Mutant(
            "no safety snapshot",
            "A restore takes the database away from users without saving what is in it",
            "the runbook restores over what is there",
            (
                Source(
                    "lambdas/database/take_safety_snapshot.py",
                    '    snapshots.take(event["instance"], event["snapshot_id"], tags)\n',
                    "    del tags\n",
                ),
                Source(
                    "lambdas/database/check_safety_snapshot.py",
                    "    snapshot = snapshots.find(snapshot_id)\n",
                    '    if instance:\n        return {"available": True, "percent": 100}\n'
                    "    snapshot = snapshots.find(snapshot_id)\n",
                ),
            ),
            "restore",
            "the safety snapshots are",
        ),
        Mutant(
            "approves himself",
            "Who asks for a restore may approve it, too",
            "four eyes are two humans",
            (
                Source(
                    "lambdas/operate/url_rules.py",
                    "    if is_same_person(caller, requester.arn):\n",
                    "    if caller == requester.arn:\n",
                ),
            ),
            "approval-of-ones-own",
            "requests were answered with",
        ),
        # -- what starts a release
        Mutant(
            "unsigned push",
            "A webhook is believed without its signature",
            "the address of a function URL is no secret",
            (
                Source(
                    "lambdas/github/webhook_rules.py",
                    "    if not is_signed(request, secrets):\n",
                    "    if secrets == 0:\n",
                ),
            ),
            "forged-push",
            "deployments were begun",
        ),
        Mutant(
            "gate error passes",
            "A gate that could not be looked at stands in nobody's way",
            "no answer is no yes",
            (
                Source(
                    "lambdas/gates/gate_rules.py",
                    "    return result.status in (GateStatus.FAILED, GateStatus.ERROR, GateStatus.PENDING)",
                    "    return result.status in (GateStatus.FAILED, GateStatus.PENDING)",
                ),
            ),
            "gate-error",
            "the release ended as",
        ),
    )
}
