"""What must hold after every write, whoever makes it; what did not is kept in words."""

from dataclasses import dataclass, field

from lambdas.release.rules import EnvironmentRecord, Live, Phase, PointStatus, Work, seconds_since
from lambdas.rollback.rules import STALE_AFTER_SECONDS, Action, Source, decide, read_rollback_request
from tests.builders import LISTENER
from tests.protocol.world import GROUPS, World, color_of

_FREE = frozenset({None, Phase.COMMITTED, Phase.ROLLED_BACK, Phase.ABORTED, Phase.ESCALATED})
_ENDS = frozenset({Phase.ESCALATED, Phase.ROLLING_BACK, Phase.ABORTED, Phase.COMMITTED, Phase.ROLLED_BACK})
"""A human may free what is dead, and what that ended as is read from the listener."""
_MOVES: dict[Phase | None, frozenset[Phase]] = {
    **dict.fromkeys(_FREE, frozenset({Phase.PREPARING, Phase.CLEANING_UP, Phase.ROLLING_BACK})),
    Phase.PREPARING: frozenset({Phase.SHIFTING, Phase.BAKING, Phase.ABORTED, Phase.ROLLING_BACK, Phase.ESCALATED}),
    Phase.SHIFTING: frozenset({Phase.BAKING, Phase.ROLLING_BACK, Phase.ESCALATED, Phase.ROLLED_BACK}),
    Phase.BAKING: frozenset({Phase.COMMITTED, Phase.ROLLING_BACK, Phase.ESCALATED, Phase.ROLLED_BACK}),
    Phase.ROLLING_BACK: _ENDS,
    Phase.CLEANING_UP: frozenset({Phase.COMMITTED, Phase.ROLLING_BACK, Phase.ESCALATED}),
}


@dataclass
class Witness:
    """Watches a world. `problems` are in the order in which they were seen."""

    world: World
    problems: list[str] = field(default_factory=list)
    humans: int = 0
    """How often a human has moved the listener."""

    def watch(self) -> None:
        """Look at every write from now on."""
        self.world.on_lease, self.world.on_forward = self._written, self._forwarded

    def _problem(self, text: str) -> None:
        self.problems.append(f"{text} (at {self.world.seconds:.0f} s, by {self._caller() or 'a human'})")

    def _caller(self) -> str:
        return str(getattr(self.world.caller, "execution", ""))

    def _written(self, before: EnvironmentRecord, after: EnvironmentRecord) -> None:
        if before.work != after.work:
            self._token(before.work, after.work)
            self._phase(before.work, after.work)
            self._holder(before.work, after.work)
            if after.work.holder is None and before.work.holder is not None:
                self._let_go(after)
        if before.live != after.live:
            self._live(before, after)

    def _token(self, before: Work, after: Work) -> None:
        if after.token not in (before.token, before.token + 1):
            self._problem(f"the token went from {before.token} to {after.token}")
        if after.holder not in (before.holder, None) and after.token != before.token + 1:
            self._problem(f"{after.holder} holds the environment with the token of {before.holder}")

    def _phase(self, before: Work, after: Work) -> None:
        claimed = before.token != after.token
        if before.holder is None and after.holder is None and before.phase == after.phase:
            return  # maintenance was begun or ended
        if before.phase == after.phase and (not claimed or after.phase is Phase.ROLLING_BACK):
            return
        allowed = _MOVES[before.phase] if before.holder or claimed else frozenset()
        if after.phase is Phase.ROLLING_BACK or (before.holder is None and after.phase in _MOVES[None]):
            return
        if before.phase is Phase.COMMITTED and before.holder and after.phase in (Phase.COMMITTED, Phase.ESCALATED):
            return
        if after.phase not in allowed:
            self._problem(f"phase {before.phase} of {before.holder} became {after.phase} of {after.holder}")

    def _holder(self, before: Work, after: Work) -> None:
        """Only a rollback takes over from who runs, and from another rollback only if that is stuck."""
        caller = self._caller()
        frees = ":receipts-test-operate:" in caller and self.world.status.get(str(before.holder)) != "RUNNING"
        if before.holder is not None and after.holder == before.holder and caller != before.holder and not frees:
            changed = {
                name for name in ("phase", "intents", "progress_at") if getattr(before, name) != getattr(after, name)
            }
            if changed:
                self._problem(f"{caller} has written {sorted(changed)} under the lease of {before.holder}")
        if before.holder is None or after.holder in (None, before.holder):
            return
        runs = self.world.status.get(before.holder) == "RUNNING"
        if after.phase is not Phase.ROLLING_BACK:
            self._problem(f"{after.holder} took the environment from {before.holder}")
        elif runs and before.phase is Phase.ROLLING_BACK and before.progress_at and not self._was_stuck(before, after):
            quiet = seconds_since(before.progress_at, self.world.now)
            if quiet <= STALE_AFTER_SECONDS - 1:
                self._problem(f"{after.holder} took over from a rollback that wrote {quiet:.0f} s ago")

    def _was_stuck(self, before: Work, after: Work) -> bool:
        """What the watchdog has found stuck may have moved since; a rollback about it takes over all the same."""
        given = self.world.given[str(after.holder)]
        return bool(given.get("source") == Source.WATCHDOG and given["execution_arn"] == before.holder)

    def _let_go(self, after: EnvironmentRecord) -> None:
        """Whoever ends well leaves all traffic, and every client, where the record says."""
        if self.world.moved_by == "human" or after.live is None:
            return
        shown, color = self.world.weights[LISTENER], after.live.color
        wanted = {GROUPS[color]: 100}
        if after.work.phase in (Phase.ROLLED_BACK, Phase.COMMITTED, Phase.ABORTED) and shown != wanted:
            self._problem(f"it ended as {after.work.phase} with {after.live.release_id} on {color}, and {shown}")

    def _live(self, before: EnvironmentRecord, after: EnvironmentRecord) -> None:
        old, new = before.live, after.live
        assert new is not None
        if old is not None and new.release_id == old.release_id:
            self._point(before, old, new)
        elif old is None or new.rollback_point is None or new.rollback_point.status is PointStatus.VALID:
            if new.release_id != after.work.release_id:
                self._problem(f"{new.release_id} became live in the work for {after.work.release_id}")
            if old and old.rollback_point and old.rollback_point.in_window(self.world.now):
                self._problem(f"{new.release_id} became live although {old.release_id} could still be rolled back")
        elif old.rollback_point is None or old.rollback_point.status is not PointStatus.VALID:
            self._problem(f"{old.release_id} was rolled back without a valid point")
        elif new.release_id != old.rollback_point.release_id:
            self._problem(f"{old.release_id} was rolled back to {new.release_id}")

    def _point(self, before: EnvironmentRecord, old: Live, new: Live) -> None:
        """A valid point stays as it is, but for the end of its window; what is consumed or expired stays so."""
        was, now = old.rollback_point, new.rollback_point
        if was is None or now is None:
            return
        if was.status is not PointStatus.VALID and now.status is not was.status:
            self._problem(f"the point of {old.release_id} was {was.status} and became {now.status}")
        if (was.color, was.version, was.target_groups) != (now.color, now.version, now.target_groups):
            self._problem(f"the point of {old.release_id} was replaced")
        is_ordered = ":receipts-test-operate:" in self._caller()
        if now.status is PointStatus.EXPIRED and was.in_window(self.world.now) and not is_ordered:
            self._problem(f"the point of {old.release_id} was given up in its window, in phase {before.work.phase}")

    def _forwarded(self, listener: str) -> None:
        if listener != LISTENER:
            return
        caller = self._caller()
        self.world.moved_by = caller
        work, shown = self.world.seen.work, self.world.weights[LISTENER]
        if caller != work.holder and work.phase not in (Phase.ROLLING_BACK, Phase.ESCALATED):
            self._problem(f"the listener was written in phase {work.phase} of {work.holder}")
        receiving = {color_of(group) for group, weight in shown.items() if weight}
        known = getattr(self.world.caller, "sick", frozenset())
        for color in receiving:
            other = "green" if color == "blue" else "blue"
            if len(receiving) == 1 and color in known & self.world.sick and self.world.healthy(other):
                self._problem(f"all traffic went to {color}, which has no healthy target")

    def look(self) -> None:
        """Check what is about no single write."""
        found, now = self.world.read(), self.world.now
        point = found.live.rollback_point if found.live else None
        if point and point.in_window(now):
            capacity = self.world.capacity[point.color].desired
            if capacity < point.capacity:
                self._problem(f"the way back, {point.color}, has {capacity} of {point.capacity} instances")
            if self.world.versions[point.color] != point.version:
                self._problem(f"the way back, {point.color}, has {self.world.versions[point.color]}")
        if found.work.phase is Phase.ROLLED_BACK and found.work.holder is None:
            again = decide(read_rollback_request({}), found, "again", now, holder_runs=False)
            if again.action is not Action.NOTHING:
                self._problem(f"a second rollback would {again.action}: {again.reason}")

    def conclude(self) -> None:
        """Check what must hold when everything has come to rest."""
        found = self.world.read()
        holder = found.work.holder
        if holder is not None:
            self._problem(f"{holder} ({self.world.status.get(holder)}) still holds the environment, {found.work.phase}")
        shown = {group for group, weight in self.world.weights[LISTENER].items() if weight}
        by_human = self.world.moved_by == "human" or self.world.pages
        if len(shown) != 1 and not by_human:
            self._problem(f"traffic is divided, {self.world.weights[LISTENER]}, and nobody was told")
