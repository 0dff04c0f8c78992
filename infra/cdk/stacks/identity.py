"""The stacks of identity: tenants, users, sessions and API keys."""

from typing import Final

from aws_cdk import App

from identity import tables
from infra.cdk.constructs.context_stack import ContextStack
from infra.cdk.constructs.data import DataStack
from infra.cdk.constructs.function import Function
from infra.cdk.constructs.resources import GATE, JOURNAL, Key, Table
from infra.cdk.stage import Stage

TABLE: Final = Table("identity", context="identity")
FIELDS: Final = Key("fields")

_ATTEMPTS: Final = ("DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")
"""What it takes to check a password under the lock-out, and to change the user or a session."""

_HASHING_MEMORY: Final = 1_024
"""Argon2id takes 19 MiB and a whole processor for a moment."""


class IdentityData(DataStack):
    """The context's table and key."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "identity", "data")
        self.add_context_key()
        for model in tables.ALL:
            self.table(model)


class IdentityApi(ContextStack):
    """Endpoints."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "identity", "api")
        self._add_registration()
        self._add_sign_in()
        self._add_own_account()
        self._add_tenant()
        self._add_api_keys()
        self._add_staff()

    def _add_registration(self) -> None:
        self._hashing("register_account").writes_facts().allow(TABLE, "PutItem", "Query").allow(
            FIELDS, "Encrypt"
        )
        self.function("resend_verification").writes_facts().allow(
            TABLE, "PutItem", "Query", "UpdateItem"
        ).allow(FIELDS, "Encrypt")
        self.function("verify_email").writes_facts().allow(
            TABLE, "DeleteItem", "GetItem", "PutItem"
        ).allow(GATE, "PutItem")
        self.function("show_verification_page")
        self.function("show_reset_page")

    def _add_sign_in(self) -> None:
        self._signing(self._hashing("log_in")).writes_facts().allow(
            TABLE, *_ATTEMPTS, "ConditionCheckItem"
        ).allow(FIELDS, "Decrypt")
        self._signing(self.function("refresh_session")).writes_facts().allow(
            TABLE, "DeleteItem", "Query", "UpdateItem"
        )
        self.function("log_out").writes_facts().allow(TABLE, "DeleteItem")
        self.function("request_password_reset").writes_facts().allow(
            TABLE, "PutItem", "Query"
        ).allow(FIELDS, "Encrypt")
        self._hashing("reset_password").writes_facts().reads_clock().allow(
            TABLE, "DeleteItem", "GetItem", "Query", "UpdateItem"
        )
        jwks = self.function("get_jwks")
        for generation in self.stage.token_key_generations:
            jwks.allow(Key(f"tokens-{generation}"), "GetPublicKey")

    def _add_own_account(self) -> None:
        self.function("get_me").reads_clock().allow(TABLE, "BatchGetItem", "GetItem", "Query")
        self.function("update_me").writes_facts().reads_clock().allow(
            TABLE, "BatchGetItem", "Query", "UpdateItem"
        )
        self._hashing("change_password").writes_facts().reads_clock().allow(TABLE, *_ATTEMPTS)
        self._hashing("enroll_totp").writes_facts().allow(TABLE, *_ATTEMPTS).allow(
            FIELDS, "Encrypt"
        )
        self.function("confirm_totp", groups=["security"]).writes_facts().allow(
            TABLE, "Query", "UpdateItem"
        ).allow(FIELDS, "Decrypt")
        for file in ("disable_totp", "renew_recovery_codes"):
            self._hashing(file).writes_facts().allow(TABLE, *_ATTEMPTS).allow(FIELDS, "Decrypt")
        self.function("list_sessions").allow(TABLE, "Query")
        self.function("end_session").writes_facts().allow(TABLE, "DeleteItem", "GetItem")
        self.function("end_other_sessions").writes_facts().allow(
            TABLE, "DeleteItem", "Query", "UpdateItem"
        )

    def _add_tenant(self) -> None:
        self.function("get_tenant").allow(TABLE, "GetItem")
        self.function("update_tenant").writes_facts().reads_clock().allow(
            TABLE, "GetItem", "UpdateItem"
        )
        self.function("list_audit_log").allow(JOURNAL, "Query")

    def _add_api_keys(self) -> None:
        self.function("list_api_keys").allow(TABLE, "Query")
        self.function("get_api_key").allow(TABLE, "GetItem")
        self.function("create_api_key").writes_facts().answers_repeats().reads_clock().allow(
            TABLE, "GetItem", "PutItem", "Query"
        ).allow(GATE, "PutItem")
        self.function("rotate_api_key").writes_facts().answers_repeats().reads_clock().allow(
            TABLE, "GetItem", "Query", "UpdateItem"
        ).allow(GATE, "DeleteItem", "PutItem")
        self.function("revoke_api_key").writes_facts().reads_clock().allow(
            TABLE, "DeleteItem", "GetItem"
        ).allow(GATE, "DeleteItem")

    def _add_staff(self) -> None:
        self._signing(self._hashing("log_in_staff")).writes_facts().allow(TABLE, *_ATTEMPTS).allow(
            FIELDS, "Decrypt"
        )
        self.function("log_out_staff", groups=["security"]).writes_facts()
        self.function("list_tenants").writes_facts().allow(TABLE, "Query")
        self.function("inspect_tenant").writes_facts().allow(TABLE, "GetItem", "Query")
        for file in ("suspend_tenant", "reactivate_tenant"):
            self.function(file).writes_facts().reads_clock().allow(TABLE, "GetItem", "UpdateItem")

    def _hashing(self, file: str) -> Function:
        """Add a function that hashes or verifies passwords."""
        return self.function(file, groups=["security"], memory_megabytes=_HASHING_MEMORY)

    def _signing(self, function: Function) -> Function:
        """Let a function issue access tokens."""
        key = Key(f"tokens-{self.stage.token_key_generation}")
        for generation in self.stage.token_key_generations:
            function.allow(Key(f"tokens-{generation}"), "GetPublicKey")
        return function.allow(key, "Sign")


class IdentityFlows(ContextStack):
    """Steps, subscribers, schedules and state machines."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "identity", "flows")
        self.function("apply_entitlements").allow(TABLE, "UpdateItem").allow(GATE, "UpdateItem")
        for file in ("suspend_for_payment", "lift_payment_suspension"):
            self.function(file).writes_facts().reads_clock().allow(
                TABLE, "GetItem", "UpdateItem"
            ).allow(GATE, "UpdateItem")
        self.function("record_key_use").allow(TABLE, "UpdateItem")
