"""Alarms: few enough to be believed, and none of what they must watch is forgotten."""

from typing import Any

from infra.cdk import tree
from infra.cdk.stacks import monitoring
from tests.infra.assembly import Assembly, Resource


def alarms(assembly: Assembly) -> list[Resource]:
    return list(assembly.resources("AWS::CloudWatch::Alarm"))


def metrics_of(alarm: Resource) -> list[dict[str, Any]]:
    if "Metrics" not in alarm.properties:
        return [alarm.properties]
    return [
        {**item["MetricStat"]["Metric"], "Stat": item["MetricStat"]["Stat"]}
        for item in alarm.properties["Metrics"]
        if "MetricStat" in item
    ]


def watched(assembly: Assembly, metric: str, threshold: float) -> set[str]:
    """Return the functions of which a metric is compared with a threshold."""
    return {
        dimension["Value"]
        for alarm in alarms(assembly)
        if alarm.properties["Threshold"] == threshold
        for item in metrics_of(alarm)
        if item["MetricName"] == metric
        for dimension in item["Dimensions"]
        if dimension["Name"] == "FunctionName"
    }


def functions(assembly: Assembly, *kinds: str) -> set[str]:
    return {
        function.properties["FunctionName"]
        for name, function in assembly.functions().items()
        if not kinds or tree.handler(*name.split("/")).kind in kinds
    }


def test_errors_of_every_function_warn_at_2_and_alarm_at_5_percent(staging: Assembly) -> None:
    assert watched(staging, "Errors", 2) == functions(staging)
    assert watched(staging, "Errors", 5) == functions(staging)


def test_5xx_of_everything_that_answers_are_counted_and_watched(staging: Assembly) -> None:
    """Handlers render their errors, so Lambda counts none."""
    answering = functions(staging, "endpoint", "webhook")
    filters = [item.properties for item in staging.resources("AWS::Logs::MetricFilter")]
    counted = {item["MetricTransformations"][0]["MetricName"] for item in filters}
    assert counted == answering
    assert {item["FilterPattern"] for item in filters} == {"{ $.status >= 500 }"}
    for threshold in (2, 5):
        watched = {
            metric["MetricName"]
            for alarm in alarms(staging)
            if alarm.properties["Threshold"] == threshold
            for metric in metrics_of(alarm)
            if metric["Namespace"] == "Mailroom/ServerErrors"
        }
        assert watched == answering


def test_latency_of_every_endpoint_warns_at_half_a_second_and_alarms_at_one(
    staging: Assembly,
) -> None:
    assert watched(staging, "Duration", 500) == functions(staging, "endpoint")
    assert watched(staging, "Duration", 1_000) == functions(staging, "endpoint")
    for alarm in alarms(staging):
        for metric in metrics_of(alarm):
            assert metric["MetricName"] != "Duration" or metric["Stat"] == "p95"


def test_streams_webhooks_queues_and_flows_are_watched(staging: Assembly) -> None:
    streams = functions(staging, "stream")
    assert watched(staging, "IteratorAge", monitoring.ITERATOR_AGE_MILLISECONDS) == streams
    assert watched(staging, "Throttles", 0) == functions(staging, "webhook")
    deep = {
        dimension["Value"]
        for alarm in alarms(staging)
        if alarm.properties["Threshold"] == 1_000
        for metric in metrics_of(alarm)
        for dimension in metric["Dimensions"]
        if dimension["Name"] == "QueueName"
    }
    queues = {
        queue.properties["QueueName"]
        for queue in staging.resources("AWS::SQS::Queue")
        if queue.stack != "sandbox"
    }
    assert deep == {name for name in queues if "-dead" not in name}
    failing = {
        str(dimension["Value"])
        for alarm in alarms(staging)
        for metric in metrics_of(alarm)
        if metric["MetricName"] == "ExecutionsFailed"
        for dimension in metric["Dimensions"]
    }
    machines = list(staging.resources("AWS::StepFunctions::StateMachine"))
    assert len(failing) == len(machines)


def test_whatever_billing_sounds_is_heard(staging: Assembly) -> None:
    heard = {
        item["MetricName"]
        for alarm in alarms(staging)
        if alarm.properties["Threshold"] == 0
        for item in metrics_of(alarm)
        if item.get("Namespace") == "Mailroom"
    }
    assert set(monitoring.MONEY_ALARMS) <= heard
    assert "StripeDiscrepancy" in heard


def test_an_alarm_takes_at_most_ten_metrics(staging: Assembly) -> None:
    for alarm in alarms(staging):
        assert len(metrics_of(alarm)) <= 10, alarm


def test_every_alarm_reaches_the_operators(staging: Assembly) -> None:
    rules = str(
        [
            item.properties["AlarmRule"]
            for item in staging.resources("AWS::CloudWatch::CompositeAlarm")
        ]
    )
    for alarm in alarms(staging):
        assert alarm.properties.get("AlarmActions") or alarm.logical_id in rules, alarm
    for composite in staging.resources("AWS::CloudWatch::CompositeAlarm"):
        assert composite.properties["AlarmActions"]
        assert composite.properties["OKActions"]


def test_alarms_are_few_enough(staging: Assembly) -> None:
    assert len(alarms(staging)) < len(staging.functions()) * 1.5


def test_a_single_failure_is_no_rate(staging: Assembly) -> None:
    for alarm in alarms(staging):
        for item in alarm.properties.get("Metrics", []):
            if "100 *" in item.get("Expression", ""):
                assert f">= {monitoring.LEAST_INVOCATIONS}" in item["Expression"]


def test_the_operators_topic_exists(staging: Assembly) -> None:
    [topic] = staging.resources("AWS::SNS::Topic")
    assert topic.properties["TopicName"] == "mailroom-staging-alarms"
