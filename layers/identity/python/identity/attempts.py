"""Lock-out: an address with five failures waits, whether or not it belongs to anybody.

The sixth attempt waits 60 s, each further one 60 s more, up to 900 s; after 12 h without a failure
all is forgotten (DESIGN 13). An attempt is counted as a failure before the password is looked at,
so that guesses made at the same time cannot slip past the limit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from pynamodb.exceptions import DeleteError, PutError
from pynamodb.expressions.condition import Condition

from identity.errors import SignInLockedError
from identity.tables import AttemptsRecord, is_over, lost_race
from kernel import clock
from kernel.tables import find
from kernel.transactions import Transaction

FREE_FAILURES: Final = 5
STEP_SECONDS: Final = 60
MAXIMUM_SECONDS: Final = 900
MEMORY: Final = timedelta(hours=12)

_RACES: Final = 3


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, already counted as a failure, and what stood there before it."""

    record: AttemptsRecord
    before: AttemptsRecord | None

    def forgive(self, transaction: Transaction) -> None:
        """Forget the address's failures as part of what the attempt achieves."""
        transaction.delete(AttemptsRecord(self.record.pk, AttemptsRecord.SK))

    @contextmanager
    def excusing(self, *errors: type[Exception]) -> Iterator[None]:
        """Take the attempt back when one of these errors, which are no failures, is raised."""
        try:
            yield
        except errors:
            self.take_back()
            raise

    def take_back(self) -> None:
        """Uncount the attempt, unless another one was counted since. One write."""
        unchanged = AttemptsRecord.failures == self.record.failures
        try:
            if self.before is None:
                self.record.delete(unchanged)
            else:
                self.before.save(unchanged)
        except (DeleteError, PutError) as error:
            if not lost_race(error):
                raise


def begin(partition: str, known: AttemptsRecord | None) -> Attempt:
    """Count an attempt at an address whose record was read just now; one conditional write.

    Raises SignInLockedError while the address waits. An attempt that was counted in between costs
    a read and a write more.
    """
    for _ in range(_RACES):
        if known is not None and known.locked_until and known.locked_until > clock.wall():
            raise _locked(known.locked_until)
        record = _count(partition, known)
        try:
            record.save(_is_still(known))
        except PutError as error:
            if not lost_race(error):
                raise
            known = find(AttemptsRecord, partition, AttemptsRecord.SK)
        else:
            return Attempt(record, known)
    raise SignInLockedError(headers={"Retry-After": "1"})


def wait_seconds(failures: int) -> int:
    """Return how long an address waits after so many failures."""
    return min(max(0, failures - FREE_FAILURES + 1) * STEP_SECONDS, MAXIMUM_SECONDS)


def _count(partition: str, known: AttemptsRecord | None) -> AttemptsRecord:
    """Return the record with one failure more than is known, or the first."""
    now = clock.wall()
    forgotten = known is None or is_over(known.expires_at, now)
    failures = 1 if known is None or forgotten else int(known.failures) + 1
    wait = timedelta(seconds=wait_seconds(failures))
    return AttemptsRecord(
        partition,
        AttemptsRecord.SK,
        failures=failures,
        locked_until=now + wait if wait else None,
        expires_at=now + MEMORY,
    )


def _is_still(known: AttemptsRecord | None) -> Condition:
    """Return the condition that nobody counted an attempt since the record was read."""
    if known is None:
        return AttemptsRecord.pk.does_not_exist()
    return AttemptsRecord.failures == known.failures


def _locked(until: datetime) -> SignInLockedError:
    seconds = ceil((until - clock.wall()).total_seconds())
    return SignInLockedError(
        f"Too many failed attempts; the next is possible in {seconds} s.",
        headers={"Retry-After": str(max(seconds, 1))},
    )
