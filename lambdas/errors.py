"""
Everything that a step may refuse or fail with.

    RunbackError
    ├── EnvironmentBusy        another execution works on this environment
    ├── RollbackWindowOpen     the live release may still be rolled back
    ├── ListenerDrifted        the listener does not show what the record says
    ├── LeaseLost              another execution has taken the environment over
    ├── FreezeRefused          traffic cannot be kept away from the application
    ├── TargetGroupUnhealthy   a color that would receive traffic cannot serve it
    ├── RefreshFailed          the new version could not be brought up
    ├── RestartFailed          the application did not come up again with another database
    ├── IdleColorNotReady      the new version is not healthy in time
    ├── SnapshotFailed         there is no complete snapshot of the database to go back to
    ├── RestoreFailed          the restored database is not there, or not like the one it replaces
    ├── SmokeCheckFailed       a version, or the system, does not do what users need
    ├── DataStoreUnreachable   the database or the cache does not answer
    ├── LoginRefused           a database answers, and does not let a user in
    ├── QueryFailed            a database does not do what it is asked
    ├── WritersNotFenced       nobody can prove that the database is no longer written
    ├── RestoredDataWrong      a restored database does not hold what it should
    ├── LossNotCounted         nobody can say what a restore loses
    ├── ErrorRateTooHigh       too many requests to a version end in errors
    ├── AlarmsAreOn            a critical alarm is on before a release has begun
    ├── AlarmsMissing          not all critical alarms exist
    ├── RollbackNotCertified   something that a rollback of the release would need is missing
    ├── RestoreNotCertified    something that a restore of the database would need is missing
    ├── PlanRefused            a plan of the infrastructure would do what no release may
    ├── PlanFailed             there is no plan of the infrastructure
    ├── InfrastructureFailed   a plan was not applied, or by half
    ├── MigrationsFailed       the migrations of a release did not come to a good end
    ├── ReleaseUnhealthy       a release that is observed is worse than it may be
    ├── NotTheRelease          something is wrong, and the release is not to blame, or not alone
    ├── PauseExpired           a release was paused, and nobody let it go on in time
    ├── GitHubUnavailable      GitHub did not answer, or not now
    ├── GitHubRefused          GitHub answered, and will not do what it is asked
    └── AwsCallFailed          an AWS request failed, and trying again may help

A class's name is its error name in the state machines: import the class there, never type the name. The docstring of
each error is what the operator guide says about it.
"""


class RunbackError(Exception):
    """Base of all errors that Runback raises on purpose."""


class EnvironmentBusy(RunbackError):
    """Another execution holds the environment. Wait until it has ended; a dead one is cleared within two minutes."""


class RollbackWindowOpen(RunbackError):
    """The idle color is still the way back of the live release. Wait for the end of its window, or expire it."""


class ListenerDrifted(RunbackError):
    """Somebody else moved the listener. Runback never fights over it: find out who, and put it back by hand."""


class LeaseLost(RunbackError):
    """Another execution, usually a rollback, has taken the environment over. Nothing is left to do here."""


class FreezeRefused(RunbackError):
    """Something else stands where a freeze has to, and traffic was not stopped. The message names the rule to move."""


class TargetGroupUnhealthy(RunbackError):
    """A color that would receive traffic has too few healthy targets, and got none. Look why: health check, scaling."""


class RefreshFailed(RunbackError):
    """The instance refresh of the idle color ended without success. The scaling activities of its group say why."""


class RestartFailed(RunbackError):
    """The color that serves was not replaced in time. The scaling activities of its group, and its log, say why."""


class IdleColorNotReady(RunbackError):
    """The idle color did not become healthy in time. Look at the health check's answers and the application's log."""


class SnapshotFailed(RunbackError):
    """The database could not be saved before the release. Look at the snapshot in RDS; nothing was changed."""


class RestoreFailed(RunbackError):
    """The database could not be brought back as it should be; the message says why. The one that served is kept."""


class SmokeCheckFailed(RunbackError):
    """A version, or the system around it, does not do what users need. The message names each check that failed."""


class DataStoreUnreachable(RunbackError):
    """The database or the cache does not answer, or not to whom checks log in as. Look at it and at its secret."""


class LoginRefused(RunbackError):
    """A database answers, and does not let a user in. Compare the password in the secret, and the role's LOGIN."""


class QueryFailed(RunbackError):
    """A database does not do what it is asked. The message has the SQLSTATE; 42501 means that a user lacks a right."""

    def __init__(self, message: str, code: str = "") -> None:
        """Take the message, and the SQLSTATE alone as `code`."""
        super().__init__(message)
        self.code = code


class WritersNotFenced(RunbackError):
    """The database could not be closed to all who write to it. End those whom the message names, and start again."""


class RestoredDataWrong(RunbackError):
    """The restored database does not hold what it should. Nobody uses it: choose another point to restore to."""


class LossNotCounted(RunbackError):
    """What a restore loses cannot be counted, so nobody can agree to it. The message says what stands in the way."""


class ErrorRateTooHigh(RunbackError):
    """Too many requests to a version end in errors. The application's log says which; mend them in a new commit."""


class AlarmsAreOn(RunbackError):
    """A critical alarm is on already. Remove its cause first, or release with despite_alarms and the reason."""


class AlarmsMissing(RunbackError):
    """Not all critical alarms exist, and one that is gone is never on. Deploy Runback again: it makes them anew."""


class RollbackNotCertified(RunbackError):
    """A rollback of this release would fail. The message names all that is missing and how to bring it back."""


class PlanRefused(RunbackError):
    """Terraform would do what no release may. The message names each resource, and what to do instead."""


class PlanFailed(RunbackError):
    """Terraform could not say what it would change. The build's log says why; nothing was changed."""


class InfrastructureFailed(RunbackError):
    """Terraform did not apply its plan, or only a part of it. Read the build's log before anything else."""


class RestoreNotCertified(RunbackError):
    """The database could not be restored after this release. The message names all that is missing for it."""


class MigrationsFailed(RunbackError):
    """The migrations of the database did not come to a good end. Look at how far they came, and at their log."""


class ReleaseUnhealthy(RunbackError):
    """The new version is worse than it may be: the message has the evidence. Mend it in a new commit."""


class NotTheRelease(RunbackError):
    """The old version is in trouble itself, so going back may not help. Look at what both versions need, and decide."""


class PauseExpired(RunbackError):
    """Nobody let a paused release go on before its deadline, so it was brought to an end. Release the version again."""


class GitHubUnavailable(RunbackError):
    """GitHub did not answer, or asks to be left alone for a while. No release waits for it; what is missed follows."""

    def __init__(self, message: str, retry_after: int = 0) -> None:
        """Take the message, and for how many seconds GitHub wants to be left alone, as far as it said."""
        super().__init__(message)
        self.retry_after = retry_after


class GitHubRefused(RunbackError):
    """GitHub will not do what it is asked. The message says which right the token needs, or which name is wrong."""

    def __init__(self, message: str, status: int = 0) -> None:
        """Take the message, and the HTTP status alone as `status`: 404 for what is not there, or not to be seen."""
        super().__init__(message)
        self.status = status


class AwsCallFailed(RunbackError):
    """An AWS request was refused, throttled or lost. Steps are safe to repeat, so the state machine tries again."""
