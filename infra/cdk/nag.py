"""cdk-nag's AwsSolutions rules, and for each finding that stands the reason why it does.

https://github.com/cdklabs/cdk-nag/blob/main/RULES.md#awssolutions
"""

from typing import Final

from aws_cdk import Acknowledgment, App, Stack, Token, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

_EVERYWHERE: Final = {
    "L1": "Wheels are built and tested for Python 3.13; a newer runtime is a change of its own.",
    "APIG4": "The gate authenticates and admits inside each function (docs: the gate).",
    "SQS3": "These queues are where on-failure destinations and rules leave what failed.",
    "SMG4": "Providers' keys are rotated at the provider, by an operator.",
}
_BY_STACK: Final = {
    "sandbox": {
        "APIG2": "The fakes validate as the providers do, error shapes included.",
        "APIG3": "The fakes hold no real data and are limited by the stage's throttling.",
        "APIG6": "Access logs are written; the fakes keep a log of every request themselves.",
        "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
        "AmazonAPIGatewayPushToCloudWatchLogs]": "REST logs are written by this policy.",
        "COG4": "The fakes authenticate as the providers do; the control API wants a secret token.",
    },
    "edge": {
        "CFR1": "Customers are in every country.",
        "CFR3": "The API's access logs and WAF's logs hold every request.",
        "CFR4": "TLS 1.2 is set; without a domain of its own CloudFront's certificate decides.",
    },
    "backup": {
        "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
        "AWSBackupServiceRolePolicyForBackup]": "AWS keeps this policy in step with AWS Backup.",
    },
}


def check(app: App) -> None:
    """Hold the app to the rules when it is synthesised."""
    for rule, reason in _EVERYWHERE.items():
        acknowledge(app, rule, reason)
    for name, rules in _BY_STACK.items():
        if stack := app.node.try_find_child(name):
            for rule, reason in rules.items():
                acknowledge(stack, rule, reason)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Let a finding stand, with the reason."""
    finding = Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason)
    Validations.of(construct).acknowledge(finding)


def account_of(stack: Stack) -> str:
    """Return the account as findings spell it."""
    return "<AWS::AccountId>" if Token.is_unresolved(stack.account) else stack.account
