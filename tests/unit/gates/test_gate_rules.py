"""What becomes of a release at its gates, from one look at all of them."""

from dataclasses import replace

import pytest

from lambdas.gates.gate_rules import (
    Decision,
    Found,
    GateSettings,
    Look,
    Verdict,
    all_results,
    decide,
    error,
    failed,
    is_skipped,
    passed,
    pending,
    skippable,
)
from lambdas.release.request_rules import GateLevel, GateResult, GateStatus
from tests.builders import at

REQUIRED, WARN, OFF = GateLevel.REQUIRED, GateLevel.WARN, GateLevel.OFF
SETTINGS = GateSettings(
    levels={"commit_checks.tests": REQUIRED, "backup": REQUIRED, "cdn": WARN, "dns": OFF, "maintenance": REQUIRED},
    wait_seconds=1800,
)
GOOD = {"commit_checks.tests": passed("Green."), "backup": passed("Young."), "cdn": passed("There.")}


def looked(now: str = at(0), skips: tuple[str, ...] = (), **found: Found) -> Decision:
    """Decide a look that began at the full hour. A name stands for the check of the commit, too."""
    everything = {
        **GOOD,
        "maintenance": passed("None."),
        **{each.replace("tests", "commit_checks.tests"): found[each] for each in found},
    }
    results = [result.at(gate, SETTINGS.level(gate)) for gate, result in everything.items()]
    return decide(Look(at(0), now, skips, all_results(SETTINGS, results, (), skips)), SETTINGS)


def test_release_goes_on_when_every_required_gate_passes() -> None:
    assert looked().verdict is Verdict.GO


def test_one_failed_gate_refuses_and_every_gate_that_holds_is_named() -> None:
    """Whoever mends only the first would be refused again."""
    decision = looked(tests=failed("Red."), backup=pending("Young enough soon."), maintenance=error("No answer."))
    assert decision.verdict is Verdict.REFUSE
    for said in ("Red.", "Young enough soon.", "No answer."):
        assert said in decision.reason


def test_refusal_says_what_an_emergency_would_have_to_name() -> None:
    assert '"skip_gates": ["commit_checks.tests"]' in looked(tests=failed("Red.")).reason


@pytest.mark.parametrize("found", [failed("No."), error("Unknown."), pending("Later.")])
def test_what_only_warns_holds_nobody_and_is_told(found: Found) -> None:
    decision = looked(cdn=found)
    assert decision.verdict is Verdict.GO
    assert [each.gate for each in decision.warnings] == ["cdn"]


def test_pending_gate_is_looked_at_again_in_a_minute() -> None:
    decision = looked(tests=pending("It runs."), now=at(3))
    assert (decision.verdict, decision.again_at) == (Verdict.WAIT, "2026-03-01T10:04:00Z")


def test_gate_that_knows_when_it_opens_is_looked_at_then() -> None:
    assert looked(maintenance=pending("Maintenance.", at(20))).again_at == "2026-03-01T10:20:00Z"


def test_the_earliest_of_several_is_looked_at_first() -> None:
    decision = looked(tests=pending("It runs."), maintenance=pending("Maintenance.", at(20)))
    assert decision.again_at == "2026-03-01T10:01:00Z"


def test_moment_that_is_over_already_is_looked_at_in_a_minute() -> None:
    """Where clocks differ, a gate that opens now would otherwise be asked again and again without a pause."""
    assert looked(maintenance=pending("Maintenance.", at(1)), now=at(3)).again_at == "2026-03-01T10:04:00Z"


def test_patience_ends() -> None:
    assert looked(tests=pending("It runs."), now=at(29)).verdict is Verdict.WAIT
    assert looked(tests=pending("It runs."), now=at(29, 30)).verdict is Verdict.REFUSE


def test_gate_that_opens_when_nobody_waits_any_more_refuses_at_once() -> None:
    """The sooner it is known, the sooner a human decides."""
    assert looked(maintenance=pending("Maintenance.", at(40))).verdict is Verdict.REFUSE


def test_what_cannot_be_looked_at_is_tried_for_minutes_only_and_never_passes() -> None:
    assert looked(backup=error("No answer.")).verdict is Verdict.WAIT
    assert looked(backup=error("No answer."), now=at(4)).verdict is Verdict.WAIT
    assert looked(backup=error("No answer."), now=at(4, 30)).verdict is Verdict.REFUSE


def test_gate_of_which_nobody_says_anything_is_an_error() -> None:
    """A function that died has looked at nothing."""
    silent = all_results(SETTINGS, [GOOD["backup"].at("backup", REQUIRED)], ["Sandbox.Timedout: 25 s"], ())
    found = {each.gate: each for each in silent}
    assert found["commit_checks.tests"].status is GateStatus.ERROR
    assert "Sandbox.Timedout" in found["commit_checks.tests"].detail
    assert found["backup"].status is GateStatus.PASSED
    assert found["dns"].status is GateStatus.OFF


@pytest.mark.parametrize("status", [GateStatus.OFF, GateStatus.SKIPPED])
def test_nobody_but_settings_and_the_request_says_that_a_gate_is_not_looked_at(status: GateStatus) -> None:
    said = [GateResult("backup", OFF, status, "")]
    found = {each.gate: each for each in all_results(SETTINGS, said, (), ())}
    assert (found["backup"].level, found["backup"].status) == (REQUIRED, GateStatus.ERROR)


def test_level_is_that_of_settings_whatever_was_said() -> None:
    said = [GateResult("backup", WARN, GateStatus.FAILED, "Old.")]
    found = {each.gate: each for each in all_results(SETTINGS, said, (), ())}
    assert found["backup"].level is REQUIRED


def test_results_are_in_the_order_of_settings() -> None:
    names = [each.gate for each in looked().results]
    assert names == list(SETTINGS.levels)


def test_emergency_goes_without_what_it_names_and_nothing_else() -> None:
    decision = looked(skips=("backup",), backup=failed("Old."), tests=failed("Red."))
    assert decision.verdict is Verdict.REFUSE
    assert "Old." not in decision.reason
    assert looked(skips=("backup",), backup=failed("Old.")).verdict is Verdict.GO
    assert "backup (required): skipped" in looked(skips=("backup",), backup=failed("Old.")).summary


def test_emergency_can_name_all_checks_of_the_commit_at_once() -> None:
    assert is_skipped("commit_checks.tests", ("commit_checks",))
    assert is_skipped("commit_checks.tests", ("commit_checks.tests",))
    assert not is_skipped("commit_checks.tests", ("commit_checks.security", "coverage"))
    assert not is_skipped("coverage", ("commit_checks",))
    assert skippable(["commit_checks.tests", "dns"]) == ("commit_checks", "commit_checks.tests", "dns")
    assert skippable(["dns"]) == ("dns",)


def test_detail_has_an_end() -> None:
    """All results have to fit into one item and one message."""
    assert len(failed("x" * 5000).at("backup", REQUIRED).detail) == 300


def test_results_survive_the_record() -> None:
    for each in looked(tests=pending("It runs.", at(5))).results:
        assert GateResult.from_dict(each.as_dict()) == each


def test_without_required_gates_nothing_holds_a_release() -> None:
    settings = replace(SETTINGS, levels={"backup": WARN})
    results = all_results(settings, (), (), ())
    assert decide(Look(at(0), at(0), (), results), settings).verdict is Verdict.GO
