"""Step of trial_conversion: create the invoice of the first paid period."""

from billing import trials
from billing.steps import FirstInvoiceFinalised, TrialOfSubscription
from kernel.triggers import step


@step
def handler(trial: TrialOfSubscription) -> FirstInvoiceFinalised:
    """Create the first invoice."""
    return trials.finalise_first_invoice(trial)
