import pytest

from kernel.settings import MisconfiguredError, load
from notifications.settings import NotificationsSettings

pytestmark = pytest.mark.usefixtures("cloud")


def settings(monkeypatch: pytest.MonkeyPatch, **environment: str) -> NotificationsSettings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    load.cache_clear()
    loaded: NotificationsSettings = load(NotificationsSettings)
    return loaded


def test_the_emulator_may_use_http(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = settings(monkeypatch, PUBLIC_URL="http://localhost:4566/api/")

    assert loaded.public_url == "http://localhost:4566/api"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example",
        "ftp://api.example",
        "//api.example",
        "javascript:alert(1)",
        "https://api.example/#x",
        "https://api.example/?x=1",
        "https://api.example/ x",
    ],
)
@pytest.mark.parametrize("name", ["PUBLIC_URL", "FRONTEND_URL"])
def test_links_elsewhere_are_https(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    usual = {"MAILROOM_STAGE": "production", "PUBLIC_URL": "https://api.example"}

    with pytest.raises(MisconfiguredError, match=name):
        settings(monkeypatch, **usual | {name: url})


@pytest.mark.parametrize("address", ["nobody", "a@b\r\nBcc: c@d", "Name <a@b.example>", ""])
def test_addresses_are_bare(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    with pytest.raises(MisconfiguredError, match="MAIL_SENDER"):
        settings(monkeypatch, MAIL_SENDER=address)


@pytest.mark.parametrize(
    ("stage", "choice", "sends"),
    [
        ("local", "sent", True),
        ("local", "captured", False),
        ("staging", "sent", False),
        ("production", "sent", False),
        ("production", "captured", False),
    ],
)
def test_mail_of_test_tenants_is_sent_on_the_emulator_only(
    monkeypatch: pytest.MonkeyPatch, stage: str, choice: str, sends: bool
) -> None:
    loaded = settings(
        monkeypatch,
        MAILROOM_STAGE=stage,
        PUBLIC_URL="https://api.example",
        MAIL_OF_TEST_TENANTS=choice,
    )

    assert loaded.sends_mail_of_test_tenants is sends


def test_mail_of_test_tenants_is_captured_unless_somebody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not settings(monkeypatch).sends_mail_of_test_tenants
