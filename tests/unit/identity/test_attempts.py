"""The lock-out's arithmetic, and attempts that are made at the same time."""

from datetime import timedelta

import pytest

from identity import attempts
from identity.errors import SignInLockedError, TotpRequiredError
from identity.tables import AttemptsRecord
from kernel.tables import find
from tests.unit.identity.scenery import Wall

pytestmark = pytest.mark.usefixtures("world")

PARTITION = "EMAIL#somebody"


def fail() -> attempts.Attempt:
    return attempts.begin(PARTITION, stored())


def stored() -> AttemptsRecord | None:
    return find(AttemptsRecord, PARTITION, AttemptsRecord.SK)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        (0, 0),
        (1, 0),
        (4, 0),
        (5, 60),
        (6, 120),
        (7, 180),
        (18, 840),
        (19, 900),
        (20, 900),
        (500, 900),
    ],
)
def test_waits_grow_by_a_minute_up_to_fifteen(failures: int, seconds: int) -> None:
    assert attempts.wait_seconds(failures) == seconds


def test_the_sixth_attempt_waits_a_minute_and_the_seventh_two(wall: Wall) -> None:
    for _ in range(5):
        fail()
    for seconds in (60, 120, 180):
        wall.forward(seconds=seconds - 1)
        with pytest.raises(SignInLockedError) as locked:
            fail()
        assert (locked.value.status, locked.value.headers["Retry-After"]) == (429, "1")
        wall.forward(seconds=1)
        fail()


def test_being_refused_does_not_lengthen_the_wait(wall: Wall) -> None:
    for _ in range(5):
        fail()
    for _ in range(10):
        with pytest.raises(SignInLockedError):
            fail()
    wall.forward(seconds=60)
    assert fail().record.failures == 6


def test_twelve_quiet_hours_are_forgiveness(wall: Wall) -> None:
    for _ in range(5):
        fail()
    wall.forward(hours=11, minutes=59)
    assert fail().record.failures == 6
    wall.forward(hours=12)
    assert fail().record.failures == 1


def test_an_attempt_that_is_taken_back_leaves_no_trace(wall: Wall) -> None:
    fail().take_back()
    assert stored() is None
    first = fail()
    fail().take_back()
    now = stored()
    assert now is not None
    assert now.failures == first.record.failures


def test_taking_back_never_forgets_an_attempt_counted_since(wall: Wall) -> None:
    slow = fail()
    fail()
    slow.take_back()
    now = stored()
    assert now is not None
    assert now.failures == 2


def test_only_named_errors_excuse() -> None:
    with pytest.raises(TotpRequiredError), fail().excusing(TotpRequiredError):
        raise TotpRequiredError
    assert stored() is None
    with pytest.raises(KeyError), fail().excusing(TotpRequiredError):
        raise KeyError
    assert stored() is not None


def test_attempts_at_the_same_time_are_all_counted(wall: Wall) -> None:
    """All read the same record; each is counted, or refused."""
    known = stored()
    first = attempts.begin(PARTITION, known)
    second = attempts.begin(PARTITION, known)
    assert (first.record.failures, second.record.failures) == (1, 2)


def test_whoever_loses_every_race_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fail()
    monkeypatch.setattr(attempts, "find", lambda *_: None)
    with pytest.raises(SignInLockedError) as refused:
        attempts.begin(PARTITION, None)
    assert refused.value.headers["Retry-After"] == "1"


def test_a_row_of_guesses_gets_five_looks_at_the_password(wall: Wall) -> None:
    looks = 0
    for _ in range(30):
        try:
            fail()
        except SignInLockedError:
            continue
        looks += 1
    assert looks == 5
    now = stored()
    assert now is not None
    assert now.locked_until == wall.now + timedelta(seconds=60)
