"""The log of a stage, read from CloudWatch's API as moto serves it."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from infra.aws.stage import Account, StageError
from tests.contract import moto_server

pytestmark = pytest.mark.aws

GROUP = "/aws/lambda/copilot-gateway-prod-gateway"
TEMPLATE = {
    "Resources": {"Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": GROUP}}},
    "Outputs": {
        name: {"Value": "https://gateway.example/"} for name in ("BaseUrl", "TableName", "SecretName")
    },
}


def line(number: int, **members: Any) -> str:
    """A line as the function writes it for a request."""
    frame = {"_aws": {"Timestamp": 1}, "Service": "copilot-gateway", "Requests": 1, "Duration": 12.5}
    return json.dumps(
        frame | {"event": "request.done", "level": "info", "id": f"req_{number}", "status": 200} | members
    )


class Group:
    """The log group of a stage's one function."""

    def __init__(self) -> None:
        import boto3

        boto3.client("cloudformation").create_stack(
            StackName="copilot-gateway-prod", TemplateBody=json.dumps(TEMPLATE)
        )
        self._client = boto3.client("logs")
        self._client.create_log_stream(logGroupName=GROUP, logStreamName="one")

    def write(self, *messages: str) -> None:
        now = int(time.time() * 1000)
        events = [{"timestamp": now + index, "message": message} for index, message in enumerate(messages)]
        self._client.put_log_events(logGroupName=GROUP, logStreamName="one", logEvents=events)

    def remove(self) -> None:
        import boto3

        boto3.client("cloudformation").delete_stack(StackName="copilot-gateway-prod")


@pytest.fixture
def group(aws: str) -> Any:
    made = Group()
    yield made
    made.remove()


def ids(lines: Any) -> list[str]:
    return [line["id"] for line in lines]


def test_each_line_comes_once_however_often_it_is_asked_for(group: Group) -> None:
    log = Account(moto_server.REGION).log("prod")
    group.write("START RequestId: 1 Version: 1\n", line(1), "REPORT RequestId: 1\n")
    assert ids(log.past(time.time() - 60)) == ["req_1"]
    assert ids(log.new()) == []
    group.write(line(2), '{"INIT": "not ours"}', line(3))
    assert ids(log.new()) == ["req_2", "req_3"]
    assert ids(log.new()) == []


def test_long_logs_are_read_page_by_page(group: Group) -> None:
    expected = [f"req_{number}" for number in range(120)]
    group.write(*map(line, range(120)))
    client = Account(moto_server.REGION)._session.client("logs")
    asked: list[Any] = []

    class Pages:
        """CloudWatch with pages of fifty."""

        def filter_log_events(self, **arguments: Any) -> Any:
            asked.append(arguments.get("nextToken"))
            return client.filter_log_events(limit=50, **arguments)

        describe_log_groups = staticmethod(client.describe_log_groups)

    from infra.aws.log_events import StageLog

    log = StageLog(Pages(), "/aws/lambda/copilot-gateway-prod-", lambda call: call())
    assert ids(log.past(time.time() - 60)) == expected
    assert len(asked) == 3


def test_a_stage_whose_name_goes_on_is_another_stage(group: Group) -> None:
    import boto3

    client = boto3.client("logs")
    other = "/aws/lambda/copilot-gateway-prod-eu-gateway"
    client.create_log_group(logGroupName=other)
    client.create_log_stream(logGroupName=other, logStreamName="one")
    event = {"timestamp": int(time.time() * 1000), "message": line(9)}
    client.put_log_events(logGroupName=other, logStreamName="one", logEvents=[event])
    group.write(line(1))
    try:
        account = Account(moto_server.REGION)
        assert ids(account.log("prod").past(time.time() - 60)) == ["req_1"]
        assert ids(account.log("prod-eu").past(time.time() - 60)) == ["req_9"]
    finally:
        client.delete_log_group(logGroupName=other)


def test_many_log_groups_are_found_page_by_page() -> None:
    from infra.aws.log_events import StageLog

    pages: dict[str | None, dict[str, Any]] = {
        None: {"logGroups": [{"logGroupName": "/aws/lambda/x-dev-chat"}], "nextToken": "2"},
        "2": {"logGroups": [{"logGroupName": "/aws/lambda/x-dev-login"}]},
    }

    class Pages:
        """CloudWatch with one group a page, and a line in each."""

        def describe_log_groups(self, **asked: str) -> Any:
            assert asked["logGroupNamePrefix"] == "/aws/lambda/x-dev-"
            return pages[asked.get("nextToken")]

        def filter_log_events(self, **asked: Any) -> Any:
            name = asked["logGroupName"].rpartition("-")[2]
            return {"events": [{"timestamp": 1, "eventId": name, "message": line(1, id=name)}]}

    log = StageLog(Pages(), "/aws/lambda/x-dev-", lambda call: call())
    assert ids(log.past(0.0)) == ["chat", "login"]


def test_a_stage_without_a_log_says_nothing(aws: str) -> None:
    assert list(Account(moto_server.REGION).log("nothing-here").past(0.0)) == []


def test_a_refusal_is_explained(group: Group) -> None:
    from infra.aws.log_events import StageLog
    from infra.aws.stage import _ask

    class Refusing:
        def describe_log_groups(self, **_: Any) -> Any:
            from botocore.exceptions import ClientError

            error = {
                "Error": {"Code": "AccessDeniedException", "Message": "not allowed: logs:DescribeLogGroups"}
            }
            raise ClientError(error, "DescribeLogGroups")  # pyright: ignore[reportArgumentType]

    with pytest.raises(StageError, match="logs:DescribeLogGroups"):
        list(StageLog(Refusing(), "/aws/lambda/", _ask).past(0.0))


def test_the_command_shows_a_stages_lines(group: Group, aws: str, tmp_path: Any) -> None:
    group.write(line(1, key="laptop"), line(2, key="phone", error="rate_limit", status=429))
    environ = moto_server.environment(aws) | {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    def logs(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "infra.cli", "logs", *arguments]
        return subprocess.run(
            command, env=environ, cwd=moto_server.REPOSITORY, capture_output=True, text=True, check=False
        )

    shown = logs("--stage", "prod")
    assert (0, 2) == (shown.returncode, shown.stdout.count("request.done"))
    assert "Requests" not in shown.stdout
    chosen = logs("--stage", "prod", "--errors", "--json")
    assert [json.loads(each)["key"] for each in chosen.stdout.splitlines()] == ["phone"]
    missing = logs("--stage", "other")
    assert (1, True) == (missing.returncode, "There is no stack copilot-gateway-other" in missing.stderr)
