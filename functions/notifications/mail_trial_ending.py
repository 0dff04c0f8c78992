"""On billing.trial_ending: mail what happens when the trial is over."""

from contracts.billing import TrialEnding
from kernel.triggers import subscriber
from notifications import mails


@subscriber
def handler(event: TrialEnding) -> None:
    mails.send(event)
