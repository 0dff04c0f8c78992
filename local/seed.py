"""Fill a fresh local system: platform staff, a demo company, and the sandbox as its Stripe.

It works as an operator would, with AWS credentials, through the domain's own operations. A system
that has been seeded is left alone.
"""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from local import settings
from local.errors import LocalError
from local.system import System

ROOT = Path(__file__).resolve().parents[1]
STAFF_EMAIL = "staff@mailroom.example"
DEMO_EMAIL = "demo@mailroom.example"
CONTROL_TOKEN = "local"  # noqa: S105 # nosec B105 - the sandbox's own, on this machine only
WEBHOOK_FUNCTION = "billing-receive_stripe_webhook"


def seed(system: System) -> dict[str, str]:
    """Seed the system and return what is shown once; nothing when it was seeded before.

    A process of its own does it, as the domain's code keeps its clients for as long as it lives.
    """
    command = [sys.executable, "-m", "local.seed", system.endpoint]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if finished.returncode:
        raise LocalError(f"seeding failed: {finished.stderr.strip()[-1_000:]}")
    told: dict[str, str] = json.loads(finished.stdout.splitlines()[-1])
    return told


def _seed(system: System) -> dict[str, str]:
    _reach(system)
    from identity import staff
    from kernel.authentication import PLATFORM_GATE
    from kernel.tables import GateRecord, find

    if find(GateRecord, PLATFORM_GATE, "GATE") is not None:
        return {}
    _connect_sandbox(system)
    told = _add_demo_company()
    credentials = staff.enrol(STAFF_EMAIL)
    return told | {
        "staff_email": credentials.email,
        "staff_password": credentials.password,
        "staff_totp_secret": credentials.totp_secret,
        "sandbox_control_token": CONTROL_TOKEN,
    }


def _reach(system: System) -> None:
    """Make the domain's code importable, and let it reach the emulator with root credentials."""
    sys.path[:0] = [str(path) for path in sorted(ROOT.glob("layers/*/python"))]
    os.environ |= {
        "AWS_ENDPOINT_URL": system.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": settings.REGION,
        "MAILROOM_FUNCTION": "local/seed",
        "POWERTOOLS_TRACE_DISABLED": "true",
    }


def _connect_sandbox(system: System) -> None:
    """Give billing the sandbox's keys, and the sandbox the address of billing's webhook."""
    secret = f"whsec_{secrets.token_hex(24)}"
    value = {
        "api_key": "sk_test_local",
        "publishable_key": "pk_test_local",
        "webhook_secret": secret,
    }
    name = f"mailroom/{settings.stage()}/stripe/test"
    system.client("secretsmanager").put_secret_value(SecretId=name, SecretString=json.dumps(value))
    destination = {
        "url": f"{system.function_url(WEBHOOK_FUNCTION)}/test",
        "provider": "stripe",
        "secret": secret,
        "events": ["*"],
    }
    _control(system, "/_control/webhooks", destination)


def _control(system: System, path: str, body: dict[str, Any]) -> None:
    headers = {"X-Control-Token": CONTROL_TOKEN}
    url = f"{system.sandbox_url}{path}"
    response = requests.post(url, json=body, headers=headers, timeout=30)
    if not response.ok:
        raise LocalError(f"the sandbox refused {path}: {response.status_code} {response.text}")


def _add_demo_company() -> dict[str, str]:
    """Add a test tenant on the largest API plan, whose owner's address counts as verified."""
    from identity import founding, passwords
    from kernel.ids import new_tenant_id
    from kernel.principals import System as PlatformItself
    from kernel.transactions import Transaction

    password = secrets.token_urlsafe(12)
    foundation = founding.Foundation(
        tenant_id=new_tenant_id("test"),
        company_name="Demo Company",
        mode="test",
        plan="api_pro",
        email=DEMO_EMAIL,
        password_hash=passwords.hash_password(password),
    )
    with Transaction(PlatformItself(name="local/seed"), foundation.tenant_id) as transaction:
        founding.found(transaction, foundation)
    return {"demo_email": DEMO_EMAIL, "demo_password": password}


if __name__ == "__main__":
    print(json.dumps(_seed(System.at(sys.argv[1]))))
