"""Alarms and a dashboard over everything that the other stacks hold.

An alarm takes at most ten metrics, so the functions of a context are watched in groups: the worst
of a group counts, and the alarm's description names its members. A composite alarm for each
context and severity tells the operators; dead letters have an alarm each.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, get_args

from aws_cdk import App, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns

from billing import alarms as billing_alarms
from infra.cdk.constructs.context_stack import ContextStack
from infra.cdk.constructs.function import Function
from infra.cdk.constructs.resources import arn
from infra.cdk.constructs.triggers import SERVER_ERRORS
from infra.cdk.stage import Stage

METRICS_PER_ALARM: Final = 10
QUEUE_DEPTH: Final = 1_000
ITERATOR_AGE_MILLISECONDS: Final = 60_000
LEAST_INVOCATIONS: Final = 20
"""Below this many in five minutes one failure says nothing of the rate."""

MONEY_ALARMS: Final = get_args(billing_alarms.Alarm)

_FIVE_MINUTES: Final = Duration.minutes(5)
_QUEUED: Final = frozenset({"subscriber", "consumer"})
_ANSWERING: Final = frozenset({"endpoint", "webhook"})
_ASYNCHRONOUS: Final = _QUEUED | {"stream", "schedule"}


@dataclass(frozen=True)
class Severity:
    """From where on operators are warned or woken."""

    name: str
    error_percent: float
    p95_milliseconds: int


SEVERITIES: Final = (Severity("warning", 2, 500), Severity("critical", 5, 1_000))


class Monitoring(ContextStack):
    """Dashboard and alarms of a stage."""

    def __init__(self, app: App, stage: Stage, watched: Sequence[ContextStack]) -> None:
        super().__init__(app, stage, "monitoring")
        topic = sns.Topic.from_topic_arn(
            self, "Operators", arn(self, "sns", stage.name_of("alarms"))
        )
        self.action = actions.SnsAction(topic)
        contexts: dict[str, list[ContextStack]] = {}
        for stack in watched:
            contexts.setdefault(stack.context, []).append(stack)
        for context, stacks in contexts.items():
            functions = [function for stack in stacks for function in stack.functions.values()]
            machines = [
                item.physical_name for stack in stacks for item in stack.state_machines.values()
            ]
            self._watch_rates(context, functions)
            self._watch_queues(context, functions)
            self._watch_streams(functions)
            self._watch_webhooks(functions)
            self._watch_flows(context, machines)
        self._watch_mail()
        self._watch_money()
        bus = f"{stage.name_of('events')}-dead"
        self._alarm(bus, _queue_metric(bus), 0, periods=1)
        self._add_dashboard(contexts)

    def _watch_rates(self, context: str, functions: Sequence[Function]) -> None:
        """Watch the shares of crashes and of 5xx, and of endpoints the 95th percentile."""
        answering = [function for function in functions if function.kind in _ANSWERING]
        endpoints = [function for function in functions if function.kind == "endpoint"]
        watched = (("errors", functions, _errors), ("server-errors", answering, _server_errors))
        for severity in SEVERITIES:
            alarms = [
                self._alarm(
                    f"{context}-{name}-{number}-{severity.name}",
                    _percent(group, metric),
                    severity.error_percent,
                    members=group,
                    told_by_composite=True,
                )
                for name, members, metric in watched
                for number, group in _groups(members, METRICS_PER_ALARM // 2)
            ] + [
                self._alarm(
                    f"{context}-latency-{number}-{severity.name}",
                    _worst(
                        {f"d{i}": _lambda_metric(f, "Duration", "p95") for i, f in enumerate(group)}
                    ),
                    severity.p95_milliseconds,
                    members=group,
                    told_by_composite=True,
                )
                for number, group in _groups(endpoints, METRICS_PER_ALARM)
            ]
            if alarms:
                self._composite(f"{context}-{severity.name}", alarms)

    def _watch_queues(self, context: str, functions: Sequence[Function]) -> None:
        """Watch each dead-letter queue for anything at all, and the others' depth."""
        for function in functions:
            if function.kind in _ASYNCHRONOUS:
                metric = _queue_metric(function.dead_letter_queue_name)
                self._alarm(f"{function.dead_letter_queue_name}", metric, 0, periods=1)
        queued = [function for function in functions if function.kind in _QUEUED]
        for number, group in _groups(queued, METRICS_PER_ALARM):
            metrics = {f"q{i}": _queue_metric(f.queue_name) for i, f in enumerate(group)}
            name = f"{context}-queue-depth-{number}"
            self._alarm(name, _worst(metrics), QUEUE_DEPTH, members=group)

    def _watch_streams(self, functions: Sequence[Function]) -> None:
        for function in functions:
            if function.kind == "stream":
                name = f"{function.stack.context}-{function.file}-iterator-age"
                metric = _lambda_metric(function, "IteratorAge", "Maximum")
                self._alarm(name, metric, ITERATOR_AGE_MILLISECONDS)

    def _watch_webhooks(self, functions: Sequence[Function]) -> None:
        """Watch for webhooks refused because the reserved concurrency was used up."""
        for function in functions:
            if function.kind == "webhook":
                name = f"{function.stack.context}-{function.file}-throttled"
                self._alarm(name, _lambda_metric(function, "Throttles", "Sum"), 0)

    def _watch_flows(self, context: str, machines: Sequence[str]) -> None:
        """Watch for executions that failed or ran out of time."""
        for number, group in _groups(machines, METRICS_PER_ALARM // 2):
            metrics: dict[str, cloudwatch.IMetric] = {
                f"m{i}{metric[10:].lower()}": self._flow_metric(machine, metric)
                for i, machine in enumerate(group)
                for metric in ("ExecutionsFailed", "ExecutionsTimedOut")
            }
            self._alarm(f"{context}-flows-{number}", _worst(metrics), 0, periods=1, members=group)

    def _watch_mail(self) -> None:
        """Watch the account's standing with SES, which pauses senders at 10 % and 0.5 %."""
        for name, metric, limit in (
            ("bounces", "Reputation.BounceRate", 0.05),
            ("complaints", "Reputation.ComplaintRate", 0.001),
        ):
            rate = cloudwatch.Metric(
                namespace="AWS/SES",
                metric_name=metric,
                statistic="Maximum",
                period=Duration.hours(1),
            )
            self._alarm(f"mail-{name}", rate, limit, periods=1)

    def _watch_money(self) -> None:
        """Watch what billing sounds itself: somebody must look at each single one."""
        for name in MONEY_ALARMS:
            sounded = cloudwatch.Metric(
                namespace="Mailroom",
                metric_name=name,
                dimensions_map={"service": "billing"},
                statistic="Sum",
                period=_FIVE_MINUTES,
            )
            self._alarm(f"billing-{name}", sounded, 0, periods=1)

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        *,
        periods: int = 3,
        members: Sequence[Function | str] = (),
        told_by_composite: bool = False,
    ) -> cloudwatch.Alarm:
        names = [member if isinstance(member, str) else member.physical_name for member in members]
        physical = name if name.startswith("mailroom-") else self.stage.name_of(name)
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=physical,
            alarm_description=", ".join(names) or None,
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=periods,
            datapoints_to_alarm=min(periods, 2),
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        if not told_by_composite:
            alarm.add_alarm_action(self.action)
        return alarm

    def _composite(self, name: str, alarms: Sequence[cloudwatch.Alarm]) -> None:
        composite = cloudwatch.CompositeAlarm(
            self,
            name,
            composite_alarm_name=self.stage.name_of(name),
            alarm_rule=cloudwatch.AlarmRule.any_of(*alarms),
        )
        composite.add_alarm_action(self.action)
        composite.add_ok_action(self.action)

    def _flow_metric(self, machine: str, metric: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/States",
            metric_name=metric,
            dimensions_map={"StateMachineArn": arn(self, "states", f"stateMachine:{machine}")},
            statistic="Sum",
            period=_FIVE_MINUTES,
        )

    def _add_dashboard(self, contexts: Mapping[str, Sequence[ContextStack]]) -> None:
        dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=self.stage.name_of("all")
        )
        api = {"ApiId": self.parameter("http-api-id")}
        dashboard.add_widgets(
            _graph(
                "API: requests and errors",
                *(_api_metric(name, "Sum", api) for name in ("Count", "4xx", "5xx")),
            ),
            _graph(
                "API: latency", *(_api_metric("Latency", p, api) for p in ("p50", "p95", "p99"))
            ),
        )
        for context in contexts:
            prefix = self.stage.name_of(f"{context}-")
            dashboard.add_widgets(
                _search(f"{context}: invocations", "Invocations", "Sum", prefix),
                _search(f"{context}: errors", "Errors", "Sum", prefix),
                _search(f"{context}: p95", "Duration", "p95", prefix),
            )


ItemT = TypeVar("ItemT")


def _groups(items: Sequence[ItemT], size: int) -> Iterator[tuple[int, Sequence[ItemT]]]:
    for number, start in enumerate(range(0, len(items), size), start=1):
        yield number, items[start : start + size]


def _percent(
    functions: Sequence[Function], metric: Callable[[Function], cloudwatch.Metric]
) -> cloudwatch.MathExpression:
    """Return the highest share of a metric in the invocations of functions really in use."""
    metrics: dict[str, cloudwatch.IMetric] = {}
    rates = []
    for index, function in enumerate(functions):
        metrics[f"e{index}"] = metric(function)
        metrics[f"i{index}"] = _lambda_metric(function, "Invocations", "Sum")
        share = f"100 * FILL(e{index}, 0) / i{index}"
        rates.append(f"IF(i{index} >= {LEAST_INVOCATIONS}, {share}, 0)")
    return cloudwatch.MathExpression(
        expression=f"MAX([{', '.join(rates)}])",
        using_metrics=metrics,
        label="errors %",
        period=_FIVE_MINUTES,
    )


def _errors(function: Function) -> cloudwatch.Metric:
    return _lambda_metric(function, "Errors", "Sum")


def _server_errors(function: Function) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=SERVER_ERRORS,
        metric_name=function.physical_name,
        statistic="Sum",
        period=_FIVE_MINUTES,
    )


def _worst(metrics: Mapping[str, cloudwatch.IMetric]) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(
        expression=f"MAX([{', '.join(metrics)}])",
        using_metrics=dict(metrics),
        label="worst",
        period=_FIVE_MINUTES,
    )


def _lambda_metric(function: Function, name: str, statistic: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/Lambda",
        metric_name=name,
        dimensions_map={"FunctionName": function.physical_name},
        statistic=statistic,
        period=_FIVE_MINUTES,
    )


def _queue_metric(queue: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/SQS",
        metric_name="ApproximateNumberOfMessagesVisible",
        dimensions_map={"QueueName": queue},
        statistic="Maximum",
        period=_FIVE_MINUTES,
    )


def _api_metric(name: str, statistic: str, api: Mapping[str, str]) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/ApiGateway",
        metric_name=name,
        dimensions_map=dict(api),
        statistic=statistic,
        label=f"{name} {statistic}",
    )


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=12)


def _search(title: str, metric: str, statistic: str, prefix: str) -> cloudwatch.GraphWidget:
    """Return a graph with a line for each function whose name begins with the prefix."""
    query = f'{{AWS/Lambda,FunctionName}} MetricName="{metric}" FunctionName="{prefix}"'
    expression = cloudwatch.MathExpression(
        expression=f"SEARCH('{query}', '{statistic}', 300)", using_metrics={}, label=""
    )
    return cloudwatch.GraphWidget(title=title, left=[expression], width=8)
