"""Step of trial_conversion: publish that the trial ends in three days."""

from billing import trials
from billing.steps import TrialEndAnnounced, TrialOfSubscription
from kernel.triggers import step


@step
def handler(trial: TrialOfSubscription) -> TrialEndAnnounced:
    """Announce the end of a trial."""
    return trials.announce_end(trial)
