"""What is invoked asynchronously: nothing that fails is lost, and nothing repeats for ever."""

from typing import Any

from contracts import billing, events, identity  # noqa: F401 - contexts register their events
from infra.cdk import tree
from tests.infra.assembly import Assembly, Resource


def sources(assembly: Assembly, kind: str) -> list[Resource]:
    return [
        source
        for source in assembly.resources("AWS::Lambda::EventSourceMapping")
        if kind_of(assembly, source) == kind
    ]


def kind_of(assembly: Assembly, source: Resource) -> str:
    is_queue = "Fn::GetAtt" in source.properties["EventSourceArn"]
    return "queue" if is_queue else "stream"


def queue_of(assembly: Assembly, source: Resource) -> dict[str, Any]:
    return assembly.named(source.stack, source.properties["EventSourceArn"]).properties


def test_queues_report_partial_failures_and_are_bounded(assembly: Assembly) -> None:
    for source in sources(assembly, "queue"):
        assert source.properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert 2 <= source.properties["ScalingConfig"]["MaximumConcurrency"] <= 10


def test_queues_wait_six_times_the_functions_timeout(assembly: Assembly) -> None:
    for source in sources(assembly, "queue"):
        function = assembly.named(source.stack, source.properties["FunctionName"])
        timeout = function.properties["Timeout"]
        assert queue_of(assembly, source)["VisibilityTimeout"] == 6 * timeout


def test_what_a_queues_function_cannot_do_goes_to_dead_letters(assembly: Assembly) -> None:
    for source in sources(assembly, "queue"):
        redrive = queue_of(assembly, source)["RedrivePolicy"]
        assert 1 < redrive["maxReceiveCount"] <= 10
        dead = assembly.named(source.stack, redrive["deadLetterTargetArn"]).properties
        assert dead["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert dead.get("FifoQueue") == queue_of(assembly, source).get("FifoQueue")


def test_streams_halve_batches_and_set_poison_aside(assembly: Assembly) -> None:
    for source in sources(assembly, "stream"):
        properties = source.properties
        assert properties["BisectBatchOnFunctionError"] is True
        assert 0 < properties["MaximumRetryAttempts"] < 10_000
        assert 0 < properties["MaximumRecordAgeInSeconds"] <= 24 * 3600
        assert "Destination" in properties["DestinationConfig"]["OnFailure"]


def test_a_tables_stream_has_at_most_two_readers(assembly: Assembly) -> None:
    readers: dict[str | None, int] = {}
    for source in sources(assembly, "stream"):
        table = assembly.parameter(source.stack, source.properties["EventSourceArn"])
        readers[table] = readers.get(table, 0) + 1
    assert max(readers.values(), default=0) <= 2, "more are throttled (AWS recommends two)"


def test_rules_keep_what_they_could_not_deliver(assembly: Assembly) -> None:
    for rule in assembly.resources("AWS::Events::Rule"):
        for target in rule.properties["Targets"]:
            assert "Arn" in target["DeadLetterConfig"], rule


def test_schedules_keep_runs_that_failed(assembly: Assembly) -> None:
    configured = {
        str(assembly.named(item.stack, item.properties["FunctionName"])): item.properties
        for item in assembly.resources("AWS::Lambda::EventInvokeConfig")
    }
    for name, function in assembly.functions().items():
        if tree.handler(*name.split("/")).kind == "schedule":
            assert configured[str(function)]["DestinationConfig"]["OnFailure"]["Destination"]


def test_rules_of_the_bus_are_the_subscribers(assembly: Assembly) -> None:
    bus = f"mailroom-{assembly.stage}-events"
    rules = {
        rule.properties["Name"]: rule.properties["EventPattern"]["detail-type"]
        for rule in assembly.resources("AWS::Events::Rule")
        if rule.properties.get("EventBusName") == bus
    }
    subscribers = {
        function.properties["FunctionName"]: [tree.handler(*name.split("/")).event_type]
        for name, function in assembly.functions().items()
        if tree.handler(*name.split("/")).kind == "subscriber"
    }
    assert rules == subscribers


def test_every_event_type_that_is_waited_for_is_published_by_a_context() -> None:
    for context in tree.contexts():
        for file in tree.function_files(context):
            trigger = tree.handler(context, file)
            if trigger.kind == "subscriber":
                assert trigger.event_type in events.REGISTRY


def test_queues_that_code_sends_to_have_a_consumer(assembly: Assembly) -> None:
    queues = {queue.properties["QueueName"] for queue in assembly.resources("AWS::SQS::Queue")}
    for function in assembly.functions().values():
        for statement in assembly.statements(assembly.role_of(function)):
            if statement["Action"] == ["sqs:SendMessage"]:
                names = {item.rpartition(":")[2] for item in statement["Resource"] if ":" in item}
                assert names <= queues, function


def test_each_dead_letter_queue_has_an_alarm(staging: Assembly) -> None:
    dead = {
        queue.properties["QueueName"]
        for queue in staging.resources("AWS::SQS::Queue")
        if "-dead" in queue.properties["QueueName"] and queue.stack != "sandbox"
    }
    watched = {
        dimension["Value"]
        for alarm in staging.resources("AWS::CloudWatch::Alarm")
        if alarm.properties["Threshold"] == 0 and alarm.properties["AlarmActions"]
        for dimension in alarm.properties.get("Dimensions", [])
        if dimension["Name"] == "QueueName"
    }
    assert dead <= watched
