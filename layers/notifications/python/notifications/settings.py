"""What a deployment decides about its mail."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from kernel.settings import Settings

_ADDRESS = r"^[^@\s<>\"]+@[^@\s<>\"]+$"


class NotificationsSettings(Settings):
    """Sender, links, footer, and what happens to the mail of test tenants."""

    mailroom_stage: str = "local"
    public_url: str = Field(
        default="http://localhost:4566/_aws/execute-api/0a11b0c5",
        description="Where the pages are that the API itself serves (verify, reset).",
    )
    frontend_url: str | None = Field(
        default=None, description="Where the frontend is; null where it is beside the API."
    )
    mail_sender: str = Field(default="hello@mailroom.example", pattern=_ADDRESS)
    mail_reply_to: str = Field(default="support@mailroom.example", pattern=_ADDRESS)
    mail_product_name: str = Field(default="Mailroom", min_length=1)
    mail_postal_address: str = Field(
        default="Mailroom, 1 Example Street, Springfield", min_length=1
    )
    mail_resend_after_seconds: int = Field(
        default=600,
        ge=60,
        le=1_200,
        description="How old an attempt of unknown outcome must be before it is repeated; less"
        " than the half hour for which SQS delivers an event again.",
    )
    mail_of_test_tenants: Literal["captured", "sent"] = Field(
        default="captured",
        description="`sent` only where the provider itself captures all mail: the emulator.",
    )

    @field_validator("public_url", "frontend_url")
    @classmethod
    def _is_absolute(cls, url: str | None, info: ValidationInfo) -> str | None:
        """Links in mail are absolute and https; http only on the emulator."""
        if url is None:
            return None
        schemes = ("https://", "http://") if info.data["mailroom_stage"] == "local" else "https://"
        if not url.startswith(schemes) or any(character in url for character in " \r\n\t#?"):
            raise ValueError("must be an absolute https address without query and fragment")
        return url.rstrip("/")

    @property
    def sends_mail_of_test_tenants(self) -> bool:
        """Tell whether test tenants' mail goes to the provider, which must be the emulator's."""
        return self.mail_of_test_tenants == "sent" and self.mailroom_stage == "local"
