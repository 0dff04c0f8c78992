"""The story: four companies, their months and their troubles."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp

from local.tour.cast import Company, Mailbox, Places, Stripe
from local.tour.narrator import Answer, Narrator

GOOD_CARD = "pm_card_visa"
CARD_THAT_FAILS_LATER = "pm_card_chargeCustomerFail"
STARTER_CALLS_PER_MINUTE = 60
ABUSE_SECONDS = 5.0
DUNNING = ((0, "first"), (2, "second"), (5, "third"))
"""When a charge is attempted, in days after the trial's end."""


class Story:
    """Tells each chapter; an unmet expectation ends the tour."""

    def __init__(self, places: Places) -> None:
        self.narrator = Narrator()
        self.places = places
        self.mailbox = Mailbox(self.narrator, places.mailbox)
        self.stripe = Stripe(self.narrator, places.sandbox, places.sandbox_control_token)

    def tell(self) -> None:
        """Tell the whole story; raises MismatchError where the system differs from it."""
        self.narrator.chapter("A company signs up")
        acme = self.sign_up("Acme Mail", "api_starter")
        self.narrator.chapter("It saves a card and becomes a customer")
        self.save_card(acme, GOOD_CARD)
        self.become_customer(acme)
        self.narrator.chapter("It uses an API key up to its limit")
        self.use_key_until_refused(acme)
        self.narrator.chapter("Another company's card fails three times")
        bolt = self.sign_up("Bolt Outreach", "inbox_starter")
        self.save_card(bolt, CARD_THAT_FAILS_LATER)
        self.fail_three_times(bolt)
        self.pay_and_be_lifted(bolt)
        self.narrator.chapter("A third company is suspended for abuse")
        self.suspend_for_abuse(self.sign_up("Clover Post", "api_pro"))
        self.narrator.close()

    def sign_up(self, name: str, plan: str) -> Company:
        """Register, verify by the mailed link, log in."""
        narrator, company = self.narrator, Company(self.narrator, self.places, name, plan)
        with narrator.step(f"{name} registers on the plan {plan}"):
            narrator.expect_equal(company.register().status, 202, "registering")
        with narrator.step("Its owner follows the link in the verification mail"):
            secret = self.mailbox.wait_for_link(company.email, "verify")
            page = narrator.call("GET", f"{self.places.api}/verify-email")
            narrator.expect_equal(page.status, 200, "the page behind the link")
            body = {"token": secret}
            answer = narrator.call("POST", f"{self.places.api}/v1/auth/verify-email", json=body)
            narrator.expect_equal(answer.status, 200, "verifying the address")
            again = narrator.call("POST", f"{self.places.api}/v1/auth/verify-email", json=body)
            narrator.expect(again.status in (404, 409, 410, 422), "the link worked twice")
        with narrator.step("The owner logs in"):
            company.log_in()
            me = company.expect(200, "GET", "/v1/me")
            narrator.say(f"{me['tenant']['id']}, role {me['role']}")
            self.mailbox.wait(company.email, "welcome")
            subscription = narrator.wait_for(
                "the subscription", lambda: self._subscription(company)
            )
            narrator.expect_equal(subscription["status"], "trialing", "the subscription")
            days = narrator.wait_for(
                "the trial's days in me",
                lambda: company.call("GET", "/v1/me", quiet=True)["trial_days_remaining"],
            )
            narrator.expect_equal(days, 7, "trial days")
        return company

    def save_card(self, company: Company, card: str) -> None:
        """Save a card by a SetupIntent, as a browser would."""
        narrator = self.narrator
        known = len(company.expect(200, "GET", "/v1/payment-methods", quiet=True)["data"])
        with narrator.step(f"The owner saves a card ({card})"):
            intent = company.expect(201, "POST", "/v1/setup-intents", {})
            self.stripe.confirm_setup(intent, card)

            def saved() -> list[Any] | None:
                methods = company.call("GET", "/v1/payment-methods", quiet=True)["data"]
                return methods if len(methods) > known else None

            methods = narrator.wait_for("the saved card, by the provider's webhook", saved)
            narrator.say(f"{methods[0]['brand']} ending {methods[0]['last4']} is on file")

    def become_customer(self, company: Company) -> None:
        """Walk the trial to its end: reminder, charge, receipt; charged once, and rightly."""
        narrator = self.narrator
        ends = self._start_clock(company)
        with narrator.step("Three days before its end the trial announces itself"):
            company.advance_to(_text(ends - timedelta(days=3)))
            self.mailbox.wait(company.email, "trial")
            narrator.expect_equal(
                company.call("GET", "/v1/me")["trial_days_remaining"], 3, "trial days"
            )
            narrator.expect_equal(len(self.stripe.charges(company.tenant_id)), 0, "charges so far")
        with narrator.step("On day 8 the card is charged, and a receipt is mailed"):
            company.advance_to(_text(ends))
            self._expect_paid(company, attempts=1)
            self.mailbox.wait(company.email, "receipt")
        with narrator.step("A month of nothing: the first period is not billed again"):
            company.advance_to(_text(ends + timedelta(days=2)))
            narrator.expect_equal(len(self.stripe.charges(company.tenant_id)), 1, "charges")

    def use_key_until_refused(self, company: Company) -> None:
        """Create a key, call with it until 429, and compare what was counted."""
        narrator = self.narrator
        with narrator.step(
            "The owner creates an API key; the same request again makes no second one"
        ):
            body = {"name": "Production", "permissions": ["tenant:read", "usage:read"]}
            headers = {"Idempotency-Key": f"tour-{company.tenant_id}"}
            key = company.expect(201, "POST", "/v1/api-keys", body, headers=headers)
            again = company.expect(201, "POST", "/v1/api-keys", body, headers=headers)
            narrator.expect_equal(again["id"], key["id"], "the repeated request's key")
            narrator.expect(not again.body.get("secret"), "a replay showed the secret again")
            self.mailbox.wait(company.email, "key")
        with narrator.step("It calls with the key until it is refused"):
            windows, refused = self._call_until_refused(key["secret"])
            full = windows[refused.headers["X-RateLimit-Reset"]]
            narrator.expect_equal(refused.status, 429, "the refusal")
            narrator.expect_equal(full, STARTER_CALLS_PER_MINUTE, "calls admitted in that minute")
            retry = refused.headers["Retry-After"]
            narrator.say(f"{full} admitted, then {refused['code']}, retry in {retry} s")
        with narrator.step("Usage shows exactly what was admitted"):
            usage = company.expect(200, "GET", "/v1/usage")
            narrator.expect_equal(usage["used"], windows.total(), "calls counted")

    def fail_three_times(self, company: Company) -> None:
        """Let the card fail on days 8, 10 and 13, until the company is suspended."""
        narrator = self.narrator
        ends = self._start_clock(company)
        for failures, (days, ordinal) in enumerate(DUNNING, start=1):
            with narrator.step(f"Day {8 + days}: the charge fails for the {ordinal} time"):
                company.advance_to(_text(ends + timedelta(days=days)))
                self._wait_for_mails(company.email, "payment", failures)
        with narrator.step("It is suspended for payment: only what cures it stays open"):
            self.mailbox.wait(company.email, "suspended")
            self._expect_closed_but(company, {"open", "cure"}, "tenant.suspended_payment")
            narrator.expect_equal(len(self._paid_charges(company)), 0, "charges that succeeded")

    def pay_and_be_lifted(self, company: Company) -> None:
        """Save a good card, pay the open invoice, and be lifted."""
        narrator = self.narrator
        self.save_card(company, GOOD_CARD)
        with narrator.step("The owner pays the open invoice, and the suspension is lifted"):
            invoice = company.expect(200, "GET", "/v1/invoices")["data"][0]
            methods = company.expect(200, "GET", "/v1/payment-methods")["data"]
            good = next(method for method in methods if method["last4"] == "4242")
            headers = {"Idempotency-Key": f"pay-{invoice['id']}"}
            body = {"payment_method_id": good["id"]}
            paid = company.expect(
                200, "POST", f"/v1/invoices/{invoice['id']}/pay", body, headers=headers
            )
            narrator.expect_equal(paid["status"], "paid", "the invoice")
            narrator.wait_for(
                "the lifted suspension",
                lambda: (
                    True if company.call("GET", "/v1/api-keys", quiet=True).status == 200 else None
                ),
            )
            self.mailbox.wait(company.email, "reactivated")
            narrator.expect_equal(len(self._paid_charges(company)), 1, "charges that succeeded")

    def suspend_for_abuse(self, company: Company) -> None:
        """Suspend a company for abuse, see all closed within five seconds, and nothing lost."""
        narrator = self.narrator
        with narrator.step("It works as usual: a key is made and used"):
            body = {"name": "Everyday", "permissions": ["tenant:read"]}
            key = company.expect(201, "POST", "/v1/api-keys", body)
            narrator.expect_equal(
                self._with_key(key["secret"], "/v1/tenant").status, 200, "the key"
            )
            before = {
                path: company.expect(200, "GET", path).body
                for path in ("/v1/tenant", "/v1/api-keys")
            }
        with narrator.step("Staff sign in with TOTP and suspend it"):
            staff = self._sign_in_staff()
            path = f"{self.places.api}/v1/staff/tenants/{company.tenant_id}"
            body = {"reason": "abuse", "note": "Complaints about unsolicited mail."}
            begun = time.monotonic()
            answer = narrator.call("POST", f"{path}/suspend", json=body, headers=staff)
            narrator.expect_equal(answer.status, 200, "suspending")
        with narrator.step("Within five seconds everything is closed but sign-in and me"):
            self._expect_closed_but(company, {"open"}, "tenant.suspended_abuse")
            narrator.expect_equal(
                self._with_key(key["secret"], "/v1/tenant").status, 403, "its key"
            )
            company.log_in()
            narrator.expect(time.monotonic() - begun < ABUSE_SECONDS, "closing took too long")
        with narrator.step("Staff reactivate it, and nothing is lost"):
            answer = narrator.call(
                "POST", f"{path}/reactivate", json={"reason": "abuse"}, headers=staff
            )
            narrator.expect_equal(answer.status, 200, "reactivating")
            narrator.expect_equal(
                self._with_key(key["secret"], "/v1/tenant").status, 200, "its key"
            )
            for what, seen in before.items():
                after = company.expect(200, "GET", what).body
                narrator.expect_equal(_lasting(after), _lasting(seen), f"{what} afterwards")

    def _start_clock(self, company: Company) -> datetime:
        with self.narrator.step(f"{company.name} starts its test clock"):
            company.expect(201, "POST", "/v1/test-clock", {})
            subscription = self._subscription(company)
            if subscription is None:
                self.narrator.fail(f"{company.name} has lost its subscription")
            self.narrator.say(f"the trial ends at {subscription['trial_ends_at']}")
        return datetime.fromisoformat(subscription["trial_ends_at"]).astimezone(UTC)

    def _subscription(self, company: Company) -> Any | None:
        data = company.call("GET", "/v1/subscriptions", quiet=True)["data"]
        return data[0] if data else None

    def _expect_paid(self, company: Company, *, attempts: int) -> None:
        """Compare subscription, invoice, ledger and the provider's own log."""
        narrator = self.narrator
        subscription = self._subscription(company)
        narrator.expect_equal(subscription and subscription["status"], "active", "the subscription")
        invoices = company.expect(200, "GET", "/v1/invoices")["data"]
        narrator.expect_equal([invoice["status"] for invoice in invoices], ["paid"], "the invoices")
        total = invoices[0]["total"]
        charges = self.stripe.charges(company.tenant_id)
        narrator.expect_equal(len(charges), attempts, "attempts at the provider")
        charged = [
            (charge["amount"], charge["currency"].upper()) for charge in charges if charge["paid"]
        ]
        narrator.expect_equal(
            charged, [(total["amount"], total["currency"])], "the provider's charges"
        )
        entries = company.expect(200, "GET", "/v1/ledger-entries")["data"]
        narrator.expect_equal(
            sum(entry["amount"]["amount"] for entry in entries), 0, "the ledger's sum"
        )
        narrator.say(
            f"charged once: {total['amount'] / 100:.2f} {total['currency']}; the ledger sums to 0"
        )

    def _paid_charges(self, company: Company) -> list[Any]:
        return [charge for charge in self.stripe.charges(company.tenant_id) if charge["paid"]]

    def _wait_for_mails(self, address: str, subject: str, wanted: int) -> None:
        """Wait until an address has had so many mails about something, and no more."""

        def arrived() -> int | None:
            count = self.mailbox.count(address, subject)
            return count if count >= wanted else None

        seen = self.narrator.wait_for(f"mail {wanted} about {subject}", arrived)
        self.narrator.expect_equal(seen, wanted, f"mails about {subject}")
        self.narrator.say(f"✉ {seen} about {subject}")

    def _expect_closed_but(self, company: Company, open_access: set[str], code: str) -> None:
        """Call every readable route of the published document and compare with its access."""
        narrator = self.narrator
        document = narrator.call("GET", f"{self.places.api}/openapi.json", quiet=True).body
        closed = still_open = 0
        for path, operations in document["paths"].items():
            operation = operations.get("get")
            if operation is None or "{" in path or not _is_for_tenants(operation):
                continue
            answer = company.call("GET", path, quiet=True)
            if operation["x-access"] in open_access:
                narrator.expect(
                    answer.status in (200, 404), f"{path} should be open, not {answer.status}"
                )
                still_open += 1
            else:
                narrator.expect_equal((answer.status, answer.body.get("code")), (403, code), path)
                closed += 1
        narrator.expect(closed > 0 and still_open > 0, "the document names no routes to compare")
        narrator.say(f"{closed} routes closed with {code}, {still_open} open")

    def _call_until_refused(self, secret: str) -> tuple[Counter[str], Answer]:
        """Call with a key until it is refused; count what was admitted in each minute."""
        windows: Counter[str] = Counter()
        while (answer := self._with_key(secret, "/v1/tenant")).status == 200:
            windows[answer.headers["X-RateLimit-Reset"]] += 1
            admitted = windows.total()
            self.narrator.expect(admitted < 200, f"{admitted} calls were admitted, none refused")
        return windows, answer

    def _with_key(self, secret: str, path: str) -> Answer:
        url = f"{self.places.api}{path}"
        return self.narrator.call("GET", url, headers={"X-API-Key": secret}, quiet=True)

    def _sign_in_staff(self) -> dict[str, str]:
        credentials = {
            "email": self.places.staff_email,
            "password": self.places.staff_password,
            "totp_code": pyotp.TOTP(self.places.staff_totp_secret).now(),
        }
        login = f"{self.places.api}/v1/staff/login"
        answer = self.narrator.call("POST", login, json=credentials)
        if answer.status == 401:
            self.narrator.say("the code was used before; waiting for the next one")
            time.sleep(30 - time.time() % 30)
            credentials["totp_code"] = pyotp.TOTP(self.places.staff_totp_secret).now()
            answer = self.narrator.call("POST", login, json=credentials)
        self.narrator.expect(answer.status == 200, f"staff login: {answer.status} {answer.body}")
        return {"Authorization": f"Bearer {answer['access_token']}"}


def _is_for_tenants(operation: dict[str, Any]) -> bool:
    return any("bearer" in requirement for requirement in operation.get("security", []))


def _lasting(body: Any) -> Any:
    """Return a resource without what may rightly change by being used or suspended."""
    if isinstance(body, dict):
        changing = {"last_used_at", "version", "updated_at"}
        return {name: _lasting(value) for name, value in body.items() if name not in changing}
    return [_lasting(item) for item in body] if isinstance(body, list) else body


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
