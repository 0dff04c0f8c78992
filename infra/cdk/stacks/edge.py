"""CloudFront and WAF in front of the HTTP API, which takes no WAF itself. AWS only."""

from typing import Final

from aws_cdk import App, CfnOutput
from aws_cdk import aws_certificatemanager as certificates
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as waf

from infra.cdk.constructs.context_stack import ContextStack
from infra.cdk.stage import Stage

CALLS_PER_FIVE_MINUTES: Final = 10_000
"""From one address; the gate's limits are far lower, this bounds what reaches it."""

_MANAGED_RULES: Final[dict[str, list[str]]] = {
    "AWSManagedRulesAmazonIpReputationList": [],
    "AWSManagedRulesCommonRuleSet": ["SizeRestrictions_BODY"],
    "AWSManagedRulesKnownBadInputsRuleSet": [],
}
"""Rule groups, each with the rules that only count: the API takes bodies of 256 KB."""


class Edge(ContextStack):
    """The distribution, in us-east-1, where WAF for CloudFront lives."""

    def __init__(self, app: App, stage: Stage) -> None:
        if stage.region != "us-east-1":
            raise ValueError(
                f"WAF for CloudFront lives in us-east-1, {stage.name} in {stage.region}"
            )
        super().__init__(app, stage, "edge")
        certificate = stage.certificate_arn and certificates.Certificate.from_certificate_arn(
            self, "Certificate", stage.certificate_arn
        )
        origin = f"{self.parameter('http-api-id')}.execute-api.{self.region}.amazonaws.com"
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=stage.name_of("api"),
            domain_names=[stage.domain] if stage.domain else None,
            certificate=certificate or None,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            web_acl_id=self._add_web_acl().attr_arn,
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.HttpOrigin(
                    origin,
                    protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
                    origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
                ),
                allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            ),
        )
        CfnOutput(self, "Address", value=f"https://{distribution.distribution_domain_name}")

    def _add_web_acl(self) -> waf.CfnWebACL:
        name = self.stage.name_of("edge")
        acl = waf.CfnWebACL(
            self,
            "WebAcl",
            name=name,
            scope="CLOUDFRONT",
            default_action={"allow": {}},
            visibility_config=_visibility(name),
            rules=[
                *(
                    _managed_rule(index, group, counted)
                    for index, (group, counted) in enumerate(_MANAGED_RULES.items())
                ),
                {
                    "name": "rate",
                    "priority": len(_MANAGED_RULES),
                    "action": {"block": {}},
                    "statement": {
                        "rateBasedStatement": {
                            "aggregateKeyType": "IP",
                            "limit": CALLS_PER_FIVE_MINUTES,
                        }
                    },
                    "visibilityConfig": _visibility("rate"),
                },
            ],
        )
        log_group = logs.LogGroup(
            self,
            "WafLogs",
            log_group_name=f"aws-waf-logs-{name}",
            retention=self.log_retention,
            removal_policy=self.stage.removal_policy,
        )
        waf.CfnLoggingConfiguration(
            self,
            "WafLogging",
            resource_arn=acl.attr_arn,
            log_destination_configs=[
                f"arn:aws:logs:{self.region}:{self.account}:log-group:{log_group.log_group_name}"
            ],
            redacted_fields=[
                {"singleHeader": {"Name": name}}
                for name in ("authorization", "x-api-key", "cookie")
            ],
        )
        return acl


def _managed_rule(priority: int, group: str, counted: list[str]) -> dict[str, object]:
    overrides = [{"name": rule, "actionToUse": {"count": {}}} for rule in counted]
    statement = {"vendorName": "AWS", "name": group, "ruleActionOverrides": overrides}
    return {
        "name": group,
        "priority": priority,
        "overrideAction": {"none": {}},
        "statement": {"managedRuleGroupStatement": statement},
        "visibilityConfig": _visibility(group),
    }


def _visibility(name: str) -> dict[str, object]:
    return {
        "cloudWatchMetricsEnabled": True,
        "metricName": name,
        "sampledRequestsEnabled": True,
    }
