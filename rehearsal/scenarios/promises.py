"""What scenarios promise, each checked against the report: what users, operators and AWS saw."""

from collections.abc import Callable, Sequence

from rehearsal.report import Report
from rehearsal.world.customer import CAPACITY
from rehearsal.world.traffic import Sample, sticky_clients, summarise

LEAST_SHARE_OF_REQUESTS = 0.8
MOST_CRITICAL_CALLS = 6
_ASKS_FOR_APPROVAL = "approve or reject release "

Promise = Callable[[Report], str]
"""Says how a promise was broken; empty when it was kept."""


def no_failed_requests(report: Report) -> str:
    """Promise that nobody noticed anything."""
    failed = summarise(report.samples).failed
    return f"{failed} requests failed" if failed else ""


def old_color_scaled_in(report: Report) -> str:
    """Instances that nobody can need any more cost money."""
    left = report.instances["blue"]
    return f"blue still has {left} instances" if left else ""


def blue_keeps_its_capacity(report: Report) -> str:
    """Promise that the way back is as large as it was."""
    left = report.instances["blue"]
    return "" if left == CAPACITY else f"blue has {left} instances, not {CAPACITY}"


def clean_ups_found_nothing(report: Report) -> str:
    """Promise that a clean-up has come, and has left everything alone."""
    ended = [each.states[-1] for each in report.executions if each.machine == "clean-up"]
    if not ended:
        return "no clean-up was started, so nothing is proven"
    return "" if set(ended) == {"Nothing to clean up"} else f"the clean-ups ended as {ended}"


def enough_traffic(report: Report) -> str:
    """A rehearsal without load proves nothing about users."""
    sent = [sample.sent_seconds for sample in report.samples]
    rate = (len(sent) - 1) / (max(sent) - min(sent)) if len(sent) > 1 else 0.0
    wanted = report.requests_per_second
    return f"only {rate:.0f} requests per second, of {wanted:.0f}" if rate < LEAST_SHARE_OF_REQUESTS * wanted else ""


def all_traffic_on(color: str, version: str) -> Promise:
    """Promise which color serves, and with which version."""

    def promise(report: Report) -> str:
        if report.weights[color] != 100:  # noqa: PLR2004  percent
            return f"{color} has {report.weights[color]} % of the traffic"
        if report.versions[color] != version:
            return f"{color} runs {report.versions[color]}, not {version}"
        return ""

    return promise


def nothing_reaches_green_after_the_switch(report: Report) -> str:
    """Promise that a rollback leaves nobody on the bad color."""
    if report.switch is None:
        return "no rollback switched the listener"
    after = summarise(report.samples, after_seconds=report.switch.in_force)
    green = after.by_color.get("green")
    return f"{green.requests} requests reached green after the rollback" if green else ""


def few_calls_to_safety(report: Report) -> str:
    """Promise a short way from the rollback's start to safe traffic."""
    calls = report.switch.calls if report.switch else 0
    return f"{calls} AWS calls before the listener was back" if calls > MOST_CRITICAL_CALLS else ""


def rollback_by_rule(report: Report) -> str:
    """Promise that a rollback came, whoever started it, and succeeded."""
    rollbacks = [each for each in report.executions if each.machine == "rollback"]
    return "" if any(each.status == "SUCCEEDED" for each in rollbacks) else "no rollback succeeded"


def traffic_never_moved(report: Report) -> str:
    """Promise that no user has seen the new version."""
    green = summarise(report.samples).by_color.get("green")
    if green:
        return f"{green.requests} requests reached green"
    return "" if report.weights == {"blue": 100, "green": 0} else f"the listener shows {report.weights}"


def green_is_as_it_was(report: Report) -> str:
    """Promise that the idle color runs what it ran before."""
    return f"green still runs {report.versions['green']}" if report.versions["green"] else ""


def because(error: str) -> Promise:
    """Promise that the deployment's cause, which an operator reads, begins with this error."""

    def promise(report: Report) -> str:
        causes = [each.cause or "" for each in report.executions if each.machine == "deploy"]
        return "" if any(cause.startswith(error) for cause in causes) else f"the cause was {causes}"

    return promise


def listener_left_to_the_human(report: Report) -> str:
    """Promise that what a human did to the listener stands."""
    moved = {"blue": 70, "green": 30}
    return "" if report.weights == moved else f"the listener shows {report.weights}, not the human's {moved}"


def nobody_was_disturbed(report: Report) -> str:
    """Promise that people hear of a release that went well, and of nothing else: an alarm was wrong otherwise."""
    expected = ("is live", "is approved")
    others = [each for each in report.messages if not (each.endswith(expected) or _ASKS_FOR_APPROVAL in each)]
    return f"people were told {others}" if others else ""


def human_was_paged(report: Report) -> str:
    """Promise that somebody is told to act, and not only asked whether a release may begin."""
    paged = any("ACTION NEEDED" in each and _ASKS_FOR_APPROVAL not in each for each in report.messages)
    return "" if paged else "nobody was paged"


def release_has_a_report(report: Report) -> str:
    """Promise that Runback itself has written how the release ended, and what its users got."""
    if not report.release_reports:
        return "no report of the release was written"
    page = list(report.release_reports.values())[-1]
    wanted = (report.outcome.replace("_", " "), "Requests per second", " % of the traffic goes to green")
    missing = [text for text in wanted if text not in page]
    return f"the report of the release does not say {missing}" if missing else ""


def sticky_clients_came_back(report: Report) -> str:
    """Clients that a cookie held on green must be on blue for every request after the switch."""
    if report.switch is None:
        return "no rollback switched the listener"
    if not came_again(report.samples, report.switch.in_force):
        return "no client that stuck to green came again, so nothing is proven"
    stayed = sticky_clients(report.samples, "green", after_seconds=report.switch.in_force)
    return f"{len(stayed)} sticky clients stayed on green" if stayed else ""


def came_again(samples: Sequence[Sample], after_seconds: float) -> bool:
    """Say whether a client that was held on green was there after a moment."""
    held = sticky_clients(samples, "green")
    return any(each.client in held and each.sent_seconds > after_seconds for each in samples)


def executions_ended(machine: str, *statuses: str) -> Promise:
    """Promise how the executions of a machine ended, in the order of their start."""

    def promise(report: Report) -> str:
        found = tuple(each.status for each in report.executions if each.machine == machine)
        return "" if found == statuses else f"the executions of {machine} ended as {', '.join(found)}"

    return promise


def moved_only(*percent: int) -> Promise:
    """Promise which shares of the traffic the new color had, one after the other."""

    def promise(report: Report) -> str:
        found = tuple(move.percent["green"] for move in report.moves)
        return "" if found == percent else f"green's share of the traffic went {found}, not {percent}"

    return promise


def one_rollback_switched(report: Report) -> str:
    """Promise that the way back is one change of the listener, however many were asked for it."""
    back = [move for move in report.moves if move.percent["green"] == 0]
    return "" if len(back) == 1 else f"the listener was switched back {len(back)} times"


def back_within(seconds: float) -> Promise:
    """Promise how long after a rollback's first start traffic is safe, by the clock's `stamp`."""

    def promise(report: Report) -> str:
        if report.switch is None:
            return "no rollback switched the listener"
        took = report.switch.seconds
        return "" if took <= seconds else f"the rollback took {took:.0f} s, not {seconds:.0f}"

    return promise


def commands_were_sent(report: Report) -> str:
    """Promise that a page holds the commands of the way back, to be pasted."""
    return "" if any("aws elbv2 modify-" in text for text in report.pages) else "no page carried the commands"


def answered_with(*statuses: int) -> Promise:
    """Promise how requests to function URLs were answered, in their order."""

    def promise(report: Report) -> str:
        found = tuple(report.answers)
        return "" if found == statuses else f"requests were answered with {found}, not {statuses}"

    return promise


def nothing_was_released(report: Report) -> str:
    """Promise that no deployment was even begun."""
    begun = [each for each in report.executions if each.machine == "deploy"]
    return f"{len(begun)} deployments were begun" if begun else ""


def nothing_waits_for_release(report: Report) -> str:
    """Promise that no push is left that would still be released."""
    return f"{report.waiting_push} still waits for its release" if report.waiting_push else ""


def github_says(environment: str, commit: str, state: str) -> Promise:
    """Promise what whoever looks at a commit on GitHub reads there about an environment."""

    def promise(report: Report) -> str:
        found = report.github.statuses.get(commit, {}).get(f"runback/{environment}", "nothing")
        return "" if found == state else f"GitHub says {found} of {commit} in {environment}, not {state}"

    return promise


def commented_once(commit: str) -> Promise:
    """Promise that whoever looks at a commit on GitHub reads once that it was rolled back."""

    def promise(report: Report) -> str:
        texts = report.github.comments.get(commit, ())
        if len(texts) == 1 and "rolled back" in texts[0]:
            return ""
        return f"the comments of {commit} are {list(texts)}"

    return promise
