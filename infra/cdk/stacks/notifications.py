"""The stacks of notifications: templates and transactional e-mail."""

from typing import Final, cast

from aws_cdk import App
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sqs as sqs

from infra.cdk.constructs.context_stack import ContextStack
from infra.cdk.constructs.data import DataStack
from infra.cdk.constructs.function import Function
from infra.cdk.constructs.resources import GATE, Key, Mail, Table
from infra.cdk.stage import Stage
from notifications import tables

TABLE: Final = Table("notifications", context="notifications")
SENDING: Final = Mail("platform")

_PLAIN: Final = (
    "mail_key_created",
    "mail_password_changed",
    "mail_reactivation",
    "mail_suspension",
)
"""Functions whose mail no suspension stops."""

_WITH_LINK: Final = ("mail_password_reset", "mail_registration")
"""These also open the seal of a link's secret."""

_WITH_GATE: Final = (
    "mail_payment_failed",
    "mail_receipt",
    "mail_trial_ending",
    "mail_welcome",
)
"""These look at the tenant's gate right before they send."""


class NotificationsData(DataStack):
    """The context's table, sending identity and key."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "notifications", "data")
        self.add_context_key()
        for model in tables.ALL:
            self.table(model)
        self._add_sending()

    def _add_sending(self) -> None:
        """Add the platform's own sending identity; customers' mail never goes through it.

        SES spares addresses that bounced; whom complaints spare is decided by the context, as
        what guards an account goes out despite one.
        """
        configuration = ses.ConfigurationSet(
            self,
            "Sending",
            configuration_set_name=self.stage.name_of(SENDING.name),
            reputation_metrics=True,
            suppression_reasons=ses.SuppressionReasons.BOUNCES_ONLY,
            tls_policy=ses.ConfigurationSetTlsPolicy.REQUIRE,
        )
        configuration.add_event_destination(
            "Events",
            configuration_set_event_destination_name="events",
            destination=ses.EventDestination.event_bus(
                events.EventBus.from_event_bus_name(self, "DefaultBus", "default")
            ),
            events=[
                ses.EmailSendingEvent.SEND,
                ses.EmailSendingEvent.DELIVERY,
                ses.EmailSendingEvent.DELIVERY_DELAY,
                ses.EmailSendingEvent.BOUNCE,
                ses.EmailSendingEvent.COMPLAINT,
                ses.EmailSendingEvent.REJECT,
            ],
        )
        ses.EmailIdentity(
            self,
            "Identity",
            identity=ses.Identity.domain(self.stage.mail_domain),
            configuration_set=configuration,
        )


class NotificationsApi(ContextStack):
    """Endpoints."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "notifications", "api")
        self.function("list_captured_mails").allow(TABLE, "Query")


class NotificationsFlows(ContextStack):
    """Steps, subscribers, schedules and state machines."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "notifications", "flows")
        self.environment_variables = _environment(stage, self.public_url)
        for file in _PLAIN:
            self._mailer(file)
        for file in _WITH_LINK:
            self._mailer(file).allow(Key("fields"), "Decrypt")
        for file in _WITH_GATE:
            self._mailer(file).allow(GATE, "GetItem")
        self._mailer("release_mails").allow(TABLE, "Query").allow(GATE, "GetItem")
        self.function("remember_contact").allow(TABLE, "UpdateItem")
        self.function("rename_contact").allow(TABLE, "UpdateItem")
        self._add_feedback()

    def _mailer(self, file: str) -> Function:
        """Add a function that writes and sends mail."""
        mailer = self.function(file, groups=["templates"])
        return mailer.allow(TABLE, "GetItem", "PutItem").allow(SENDING, "SendEmail")

    def _add_feedback(self) -> None:
        """Add what records SES's events, which SES publishes to the default bus only."""
        recorder = self.function("record_mail_event").allow(TABLE, "PutItem", "UpdateItem")
        events.Rule(
            self,
            "MailEvents",
            rule_name=self.stage.name_of("mail-events"),
            event_pattern=events.EventPattern(
                source=["aws.ses"],
                detail={
                    "mail": {"tags": {"ses:configuration-set": [self.stage.name_of(SENDING.name)]}}
                },
            ),
            targets=[
                targets.SqsQueue(
                    cast("sqs.Queue", recorder.node.find_child("Queue")),
                    dead_letter_queue=cast("sqs.Queue", recorder.node.find_child("DeadLetters")),
                )
            ],
        )


def _environment(stage: Stage, public_url: str) -> dict[str, str]:
    return {
        "PUBLIC_URL": public_url,
        "MAIL_SENDER": f"hello@{stage.mail_domain}",
        "MAIL_REPLY_TO": f"support@{stage.mail_domain}",
        "MAIL_OF_TEST_TENANTS": "sent" if stage.local else "captured",
    }
