"""Whom a tenant's mail goes to, remembered from identity's events; they come in any order."""

from contracts.identity import TenantRegistered, TenantUpdated
from notifications.errors import ContactUnknownError
from notifications.tables import ContactRecord


def remember(event: TenantRegistered) -> None:
    """Keep the owner's address as the tenant's contact. One write."""
    contact = ContactRecord.of(event.tenant_id)
    contact.remember(event.owner_email, event.company_name, event.version)


def rename(event: TenantUpdated) -> None:
    """Keep the tenant's new name, unless a newer one is known. One write."""
    ContactRecord.of(event.tenant_id).rename(event.company_name, event.version)


def require(tenant_id: str) -> tuple[str, str]:
    """Return a tenant's address and name. One read.

    Raises ContactUnknownError, with which the event is tried again, until TenantRegistered came.
    """
    contact = ContactRecord.find(tenant_id)
    if contact is None or contact.email is None:
        raise ContactUnknownError(f"The contact of {tenant_id} has not arrived yet")
    return contact.email, contact.company_name
