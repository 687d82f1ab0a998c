"""What the page says: how much was tried, how it ended, what nothing went through, and how to see a violation again."""

from rehearsal.sweep.cases import Case
from rehearsal.sweep.coverage import Edge
from rehearsal.sweep.evidence import Section, Swept, coverage_section, page, sweep_section, violations_section
from rehearsal.sweep.playing import Result

GOOD = Result(Case.parse("deploy/invoke:promote#1/killed-after@0"), "released", (), cpu_seconds=2.0)
PAGED = Result(Case.parse("deploy/state:deploy.Promote#1/stopped@0"), "escalated", (), cpu_seconds=2.0)
BAD = Result(
    Case.parse("deploy/invoke:promote#2/killed-after@0"), "stuck", ("left: the lease\nis held",), cpu_seconds=2.0
)


def test_cases_are_counted_by_path_and_by_fault_with_their_ends() -> None:
    """Those that ended with a human are counted apart from those that went live."""
    text = sweep_section([Swept("deploy", "a version is released", 3, 7, [GOOD, PAGED, BAD])]).text

    assert "| deploy | a version is released | 3 | 7 | 3 | 1 | 1 released, 1 escalated, 1 stuck |" in text
    assert "| killed-after | a function is killed after its work, and nobody hears what came of it | 2 | 1 |" in text
    assert "3 runs with a fault" in text


def test_a_violation_stands_with_what_plays_it_again() -> None:
    """Whoever reads of it can paste that."""
    text = violations_section([GOOD, BAD]).text

    assert text == "- `.venv/bin/python -m rehearsal.sweep replay 'deploy/invoke:promote#2/killed-after@0'`: is held"
    assert violations_section([GOOD]).text == "None."


def test_what_nothing_went_through_is_named() -> None:
    """A number alone hides which."""
    start, on, off = (Edge("deploy", before, after) for before, after in (("", "A"), ("A", "B"), ("A", "C")))
    back = Edge("deploy", "B", "A")

    text = coverage_section([start, on], {"deploy": frozenset({start, on, off, back})}).text

    assert "| deploy | 3 | 2 | 4 | 2 |" in text
    assert "States of deploy that nothing entered: C." in text
    assert "between states that were entered: B → A." in text


def test_the_page_has_every_section_and_says_what_it_was_made_by() -> None:
    """Nobody should edit what is made."""
    made = page([Section("One", "first"), Section("Two", "second")], "`make sweep`")

    assert "Made by `make sweep`: do not edit it." in made
    assert made.index("## One\n\nfirst") < made.index("## Two\n\nsecond")
