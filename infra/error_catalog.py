"""The catalogue of error codes, for docs/guides/errors.md (`infra.generated_docs` puts it there).

Codes, statuses and meanings are read from the error classes; what a caller does about them stands
here.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Final, NamedTuple, get_args

from kernel.errors import MailroomError, TenantSuspendedError
from kernel.gate import Reason

PACKAGES: Final = ("kernel", "identity", "billing", "notifications")

BY_STATUS: Final = {
    400: "Correct the request; repeating it as it is cannot succeed.",
    401: "Refresh the access token or sign in again.",
    402: "Pay with another card, under a new Idempotency-Key.",
    403: "Do not repeat it as it is.",
    404: "Check the id. Another tenant's resources are answered in the same way.",
    409: "Read the resource again and decide anew.",
    413: "Send less.",
    415: "Send JSON, with `Content-Type: application/json`.",
    422: "Correct the fields that `errors` names.",
    429: "Wait for as many seconds as `Retry-After` says.",
    500: "Repeat it once, with the same Idempotency-Key; then report the `request_id`.",
    503: "Repeat it with the same Idempotency-Key, after `Retry-After` where it is sent.",
}
BY_CODE: Final = {
    "auth.permission_denied": "Ask an owner for another role, or use a key that holds it.",
    "billing.account_not_ready": "Wait for `Retry-After` and repeat it.",
    "billing.invoice_not_payable": "Read the invoice: there is nothing to pay.",
    "billing.payment_declined": "Tell the cardholder, and pay with another card.",
    "billing.payment_method_missing": "Save a card (`POST /v1/setup-intents`) or name one.",
    "billing.payment_under_review": "Wait for staff; nothing is charged meanwhile.",
    "billing.provider_unavailable": "Repeat it with the same Idempotency-Key: it charges once.",
    "identity.address_taken": "Sign in to the account that exists.",
    "identity.api_key_expired": "Create another key.",
    "identity.code_wrong": "Take a fresh code; each works once.",
    "identity.credentials_invalid": "Correct them; failures in a row lock the address for a while.",
    "identity.link_invalid": "Ask for a new link.",
    "identity.no_membership": "Sign in without `tenant_id`, or with one that `GET /v1/me` lists.",
    "identity.password_weak": "Choose a longer one that is on no list.",
    "identity.password_wrong": "Correct it.",
    "identity.permissions_exceed": "Ask for permissions that you hold yourself.",
    "identity.refresh_token_invalid": "Sign in again.",
    "identity.refresh_token_reused": "Sign in again, and find out who else has the token.",
    "identity.second_factor_invalid": "Take a fresh code; each works once.",
    "identity.totp_already_enabled": "Disable the second factor first.",
    "identity.totp_not_enabled": "Enrol a second factor first.",
    "identity.totp_required": "Ask for the code and send it with the same credentials.",
    "quota_exceeded": "Wait for the next month; larger plans include more.",
    "request.cursor_invalid": "Begin the list again without `cursor`.",
    "request.idempotency_key_reused": "Use a new key for another request.",
    "request.in_flight": "Repeat it with the same key in a second.",
    "tenant.suspended_payment": "Pay the open invoice: `POST /v1/invoices/{invoice_id}/pay`.",
    "test_clock.advancing": "Read the clock until its `status` is not `advancing`.",
    "test_clock.not_a_test_tenant": 'Register with `"mode": "test"`.',
    "test_clock.not_found": "Create it: `POST /v1/test-clock`.",
}
_SUPPORT: Final = "Write to support: everything but sign-in and `GET /v1/me` is closed."
_TITLES: Final = {"kernel": "Every context"}
_MEANINGS: Final = {"internal": "A fault of the system; the answer tells nothing of its inside."}


class Entry(NamedTuple):
    """One code."""

    code: str
    status: int
    context: str
    meaning: str
    advice: str


def entries() -> list[Entry]:
    """Return every code that a caller can meet, sorted by status and code."""
    found = {entry.code: entry for error in _classes() for entry in _entries_of(error)}
    return sorted(found.values(), key=lambda entry: (entry.status, entry.code))


def tables() -> str:
    """Return a table for each context."""
    found = entries()
    return "\n".join(
        f"## {_TITLES.get(context, context.capitalize())}\n\n"
        "| status | code | meaning | what to do |\n|---|---|---|---|\n"
        + "".join(_row(entry) for entry in found if entry.context == context)
        for context in PACKAGES
    )


def _classes() -> Iterator[type[MailroomError]]:
    """Yield the error classes that have a code of their own."""
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            importlib.import_module(module.name)
    waiting: list[type[MailroomError]] = [MailroomError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if "code" in vars(error) and error.__module__.partition(".")[0] in PACKAGES:
            yield error


def _entries_of(error: type[MailroomError]) -> Iterator[Entry]:
    context = error.__module__.partition(".")[0]
    if error is TenantSuspendedError:
        for reason in get_args(Reason):
            code = TenantSuspendedError(reason).problem_code
            meaning = f"The tenant is suspended for `{reason}`."
            yield Entry(code, error.status, context, meaning, BY_CODE.get(code, _SUPPORT))
        return
    meaning = _MEANINGS.get(error.code) or " ".join(str(error.__doc__).split())
    advice = BY_CODE.get(error.code) or BY_STATUS[error.status]
    yield Entry(error.code, error.status, context, meaning, advice)


def _row(entry: Entry) -> str:
    anchor = f'<a id="{entry.code}"></a>`{entry.code}`'
    return f"| {entry.status} | {anchor} | {entry.meaning} | {entry.advice} |\n"
