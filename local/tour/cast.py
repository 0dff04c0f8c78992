"""Who plays in the story: companies at the API, their mailbox, the card's provider."""

import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from local.tour.narrator import Answer, Narrator

_LINK = re.compile(r"https?://\S+?#token=(lnk_[\w-]+)")


@dataclass
class Places:
    """Where the parts of the running system are."""

    api: str
    sandbox: str
    sandbox_control_token: str
    mailbox: str
    staff_email: str
    staff_password: str
    staff_totp_secret: str


@dataclass
class Mailbox:
    """Mail as it left the platform, read back from the emulator's SES."""

    narrator: Narrator
    url: str

    def find(self, address: str, subject: str) -> dict[str, Any] | None:
        """Return the newest mail to an address whose subject contains a text."""
        answer = self.narrator.call("GET", self.url, quiet=True)
        mails = [mail for mails in answer.body.get("messages", {}).values() for mail in mails]
        matching = [
            mail
            for mail in mails
            if address in mail["To"] and subject.lower() in mail["Subject"].lower()
        ]
        return max(matching, key=lambda mail: mail["Timestamp"]) if matching else None

    def wait(self, address: str, subject: str) -> dict[str, Any]:
        """Wait for a mail and say so."""
        mail = self.narrator.wait_for(
            f"a mail to {address} about “{subject}”", lambda: self.find(address, subject)
        )
        self.narrator.say(f"✉ “{mail['Subject']}”")
        return mail

    def count(self, address: str, subject: str) -> int:
        """Return how many mails to an address have a text in their subject."""
        answer = self.narrator.call("GET", self.url, quiet=True)
        mails = [mail for mails in answer.body.get("messages", {}).values() for mail in mails]
        return sum(
            address in mail["To"] and subject.lower() in mail["Subject"].lower() for mail in mails
        )

    def wait_for_link(self, address: str, subject: str) -> str:
        """Return the secret of the link in a mail."""
        mail = self.wait(address, subject)
        found = _LINK.search(mail["BodyText"])
        if found is None:
            self.narrator.fail(f"“{mail['Subject']}” holds no link")
        return found[1]


@dataclass
class Stripe:
    """The card's provider: what a browser with Stripe.js would do, and the sandbox's own log."""

    narrator: Narrator
    url: str
    control_token: str

    def confirm_setup(self, intent: Answer, payment_method: str) -> None:
        """Confirm a SetupIntent with a test card, as Stripe.js does in the browser."""
        secret = intent["client_secret"]
        answer = self.narrator.call(
            "POST",
            f"{self.url}/v1/setup_intents/{secret.partition('_secret')[0]}/confirm",
            data={"payment_method": payment_method, "client_secret": secret},
            headers={"Authorization": f"Bearer {intent['publishable_key']}"},
        )
        self.narrator.expect_equal(answer.status, 200, "confirming the card at the provider")
        self.narrator.expect_equal(answer["status"], "succeeded", "the SetupIntent")

    def charges(self, tenant_id: str) -> list[dict[str, Any]]:
        """Return the charges that the provider made for a tenant, from the sandbox's log."""
        answer = self.control("GET", f"/_control/charges?metadata[tenant_id]={tenant_id}")
        return list(answer["data"])

    def control(self, method: str, path: str, body: Any = None) -> Answer:
        """Use the sandbox's control API."""
        return self.narrator.call(
            method,
            f"{self.url}{path}",
            json=body,
            headers={"X-Control-Token": self.control_token},
            quiet=True,
        )


@dataclass
class Company:
    """A company that uses Mailroom: its owner's session and what it knows of itself."""

    narrator: Narrator
    places: Places
    name: str
    plan: str
    email: str = ""
    password: str = field(default_factory=lambda: f"Tour-{uuid.uuid4()}")
    token: str = ""
    refresh_token: str = ""
    tenant_id: str = ""

    def __post_init__(self) -> None:
        self.email = (
            self.email or f"{self.name.split()[0].lower()}-{uuid.uuid4().hex[:8]}@example.com"
        )

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Call the API as the owner; an access token that has run out is refreshed."""
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return self.narrator.call(
            method, f"{self.places.api}{path}", json=body, headers=headers, **options
        )

    def expect(
        self, status: int, method: str, path: str, body: Any = None, **options: Any
    ) -> Answer:
        """Call the API and insist on a status."""
        answer = self.call(method, path, body, **options)
        self.narrator.expect(
            answer.status == status,
            f"{method} {path}: expected {status}, saw {answer.status}: {answer.body}",
        )
        return answer

    def register(self) -> Answer:
        """Fill in the registration form."""
        form = {
            "company_name": self.name,
            "email": self.email,
            "password": self.password,
            "plan": self.plan,
            "mode": "test",
        }
        return self.narrator.call("POST", f"{self.places.api}/v1/auth/register", json=form)

    def log_in(self) -> None:
        """Sign in with the password."""
        credentials = {"email": self.email, "password": self.password}
        answer = self.narrator.call("POST", f"{self.places.api}/v1/auth/login", json=credentials)
        self.narrator.expect(answer.status == 200, f"login: {answer.status} {answer.body}")
        self.token, self.refresh_token = answer["access_token"], answer["refresh_token"]
        self.tenant_id = answer["tenant"]["id"]

    def advance_to(self, moment: str) -> None:
        """Move the test clock and wait until everything that it caused has settled."""
        answer = self.expect(202, "POST", "/v1/test-clock/advance", {"to": moment})

        def settled() -> Answer | None:
            nonlocal answer
            answer = self.call("GET", "/v1/test-clock", quiet=True)
            return None if answer["status"] == "advancing" else answer

        self.narrator.wait_for(f"the clock to reach {moment}", settled, seconds=60)
        self.narrator.expect(answer["status"] == "ready", f"the clock failed: {answer.body}")
        self.narrator.say(f"the clock stands at {answer['now']}")
