"""Where the links in mail lead: pages, of which only a POST does anything (scanners prefetch)."""

from urllib.parse import quote

from kernel.settings import load
from notifications.settings import NotificationsSettings


def verify_email(secret: str) -> str:
    """Return the page that confirms an address; a fragment reaches no server and no log."""
    return f"{_pages()}/verify-email#token={quote(secret)}"


def reset_password(secret: str) -> str:
    """Return the page that takes a new password."""
    return f"{_pages()}/reset-password#token={quote(secret)}"


def forgotten_password() -> str:
    """Return the page that asks for a link to a new password."""
    return f"{_frontend()}/forgotten-password"


def sign_in() -> str:
    """Return the page to sign in."""
    return f"{_frontend()}/sign-in"


def api_keys() -> str:
    """Return the page of the tenant's API keys."""
    return f"{_frontend()}/api-keys"


def payment_methods() -> str:
    """Return the page where a card is saved."""
    return f"{_frontend()}/billing/payment-methods"


def invoices() -> str:
    """Return the page of the tenant's invoices."""
    return f"{_frontend()}/billing/invoices"


def pay_invoice(invoice_id: str) -> str:
    """Return the page where an invoice is paid."""
    return f"{invoices()}/{quote(invoice_id, safe='')}/pay"


def _pages() -> str:
    url: str = load(NotificationsSettings).public_url
    return url


def _frontend() -> str:
    settings: NotificationsSettings = load(NotificationsSettings)
    return settings.frontend_url or settings.public_url
