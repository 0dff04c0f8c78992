"""Companies for the tests of the deployed system: each signs up over HTTP, as a customer would."""

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import requests

from local.system import System

FoundT = TypeVar("FoundT")

_LINK = re.compile(r"#token=(lnk_[\w-]+)")


def wait_for(what: str, look: Callable[[], FoundT | None], seconds: float = 30.0) -> FoundT:
    """Look until something is there; fails the test when it does not come."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.1)
    return found


@dataclass
class Company:
    """A test tenant's owner."""

    system: System
    plan: str = "api_starter"
    email: str = field(default_factory=lambda: f"owner-{uuid.uuid4().hex[:12]}@example.com")
    password: str = field(default_factory=lambda: f"Test-{uuid.uuid4()}")
    tenant_id: str = ""
    access_token: str = ""
    refresh_token: str = ""

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Call the API with the owner's token, or with the headers given."""
        headers = options.pop("headers", {"Authorization": f"Bearer {self.access_token}"})
        url = f"{self.system.api_url}{path}"
        return requests.request(method, url, json=body, headers=headers, timeout=30, **options)

    def register(self) -> None:
        """Fill in the form, follow the mailed link, log in, and wait for the subscription."""
        form = {
            "company_name": "Test Company",
            "email": self.email,
            "password": self.password,
            "plan": self.plan,
            "mode": "test",
        }
        answer = self.call("POST", "/v1/auth/register", form, headers={})
        assert answer.status_code == 202, answer.text
        token = self.mailed_token("verify")
        answer = self.call("POST", "/v1/auth/verify-email", {"token": token}, headers={})
        assert answer.status_code == 200, answer.text
        self.log_in()
        wait_for("the subscription", lambda: self.listed("/v1/subscriptions") or None)

    def log_in(self) -> None:
        """Sign in with the password."""
        credentials = {"email": self.email, "password": self.password}
        answer = self.call("POST", "/v1/auth/login", credentials, headers={})
        assert answer.status_code == 200, answer.text
        self.access_token, self.refresh_token = (
            answer.json()["access_token"],
            answer.json()["refresh_token"],
        )
        self.tenant_id = answer.json()["tenant"]["id"]

    def listed(self, path: str) -> list[dict[str, Any]]:
        """Return the data of a list."""
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        data: list[dict[str, Any]] = answer.json()["data"]
        return data

    def mails(self, subject: str) -> list[dict[str, Any]]:
        """Return the mails to the owner whose subject contains a text, newest last."""
        answer = requests.get(f"{self.system.endpoint}/_ministack/ses/messages", timeout=10).json()
        return [
            mail
            for mails in answer["messages"].values()
            for mail in mails
            if self.email in mail["To"] and subject.lower() in mail["Subject"].lower()
        ]

    def mailed_token(self, subject: str) -> str:
        """Return the secret of the link in the newest mail about something."""
        mail = wait_for(f"the mail about {subject}", lambda: self.mails(subject) or None)[-1]
        found = _LINK.search(mail["BodyText"])
        assert found, mail["BodyText"]
        return found[1]

    def save_card(self, payment_method: str = "pm_card_visa") -> dict[str, Any]:
        """Save a card by a SetupIntent, as Stripe.js would, and return it."""
        known = {method["id"] for method in self.listed("/v1/payment-methods")}
        answer = self.call("POST", "/v1/setup-intents", {})
        assert answer.status_code == 201, answer.text
        secret = answer.json()["client_secret"]
        confirmed = requests.post(
            f"{self.system.sandbox_url}/v1/setup_intents/{secret.partition('_secret')[0]}/confirm",
            data={"payment_method": payment_method, "client_secret": secret},
            headers={"Authorization": f"Bearer {answer.json()['publishable_key']}"},
            timeout=30,
        )
        assert confirmed.status_code == 200, confirmed.text

        def saved() -> dict[str, Any] | None:
            methods = self.listed("/v1/payment-methods")
            return next((method for method in methods if method["id"] not in known), None)

        return wait_for("the saved card", saved)

    def advance_to(self, moment: str) -> dict[str, Any]:
        """Move the test clock and wait until all that this caused has settled."""
        answer = self.call("POST", "/v1/test-clock/advance", {"to": moment})
        assert answer.status_code == 202, answer.text

        def arrived() -> dict[str, Any] | None:
            state: dict[str, Any] = self.call("GET", "/v1/test-clock").json()
            return None if state["status"] == "advancing" else state

        state = wait_for(f"the clock to reach {moment}", arrived, seconds=90)
        assert state["status"] == "ready", state
        return state
