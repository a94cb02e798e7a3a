"""What would be deployed, for both fronts: lint, rights, routes, limits, and not a single secret."""

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import handlers
from infra.aws import endpoints
from infra.aws.metrics import METRICS, NAMESPACE, SERVICE, STAGE, SWITCH
from infra.cli.deploy import LONGEST, Plan
from infra.cli.stage import Place
from infra.settings import PREFIX
from tests.aws.conftest import CANARIES, FRONTS, REGION, Packaged, osls

TEMPLATE = "cloudformation-template-update-stack.json"
URL_RIGHTS = {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
STATE = {f"dynamodb:{action}" for action in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")}
READ, WRITE = "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"


def rights(role: dict[str, Any]) -> set[str]:
    """Return the actions that a role allows beside writing its log."""
    statements = [s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]]
    return {action for s in statements for action in s["Action"] if not action.startswith("logs:")}


def test_linter_finds_nothing(packaged: Packaged) -> None:
    command = [
        str(Path(sys.executable).with_name("cfn-lint")),
        "--regions",
        REGION,
        "--",
        str(packaged.folder / TEMPLATE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stdout + done.stderr)


def test_nothing_that_is_written_holds_a_secret(packaged: Packaged) -> None:
    written = {path.name: path.read_bytes() for path in packaged.folder.rglob("*") if path.is_file()}
    leaks = {
        (name, var)
        for name, text in written.items()
        for var, value in CANARIES.items()
        if value.encode() in text
    }
    assert ({TEMPLATE}, set()) == ({TEMPLATE} & set(written), leaks)


def test_zip_holds_no_secret(packaged: Packaged, arm_zip: Any) -> None:
    assert [] == [name for name, value in CANARIES.items() if value.encode() in arm_zip.read_bytes()]


def test_environment_names_places_and_never_values_of_secrets(packaged: Packaged) -> None:
    for function in packaged.of_type("AWS::Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        assert {"Fn::GetAtt": ["GithubToken", "Id"]} == variables["COPILOT_GATEWAY_SECRET"]
        assert not {"COPILOT_GATEWAY_GITHUB_TOKEN", "COPILOT_GATEWAY_API_KEY"} & set(variables)


def test_secret_is_made_empty(packaged: Packaged) -> None:
    (secret,) = packaged.of_type("AWS::SecretsManager::Secret").values()
    assert {"Name", "Description", "Tags"} >= set(secret)


def test_no_role_is_given_a_wildcard(packaged: Packaged) -> None:
    statements = [
        statement
        for role in packaged.of_type("AWS::IAM::Role").values()
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    assert statements
    assert "*" not in json.dumps([(s["Action"], s["Resource"]) for s in statements])


def test_only_our_roles_exist_and_each_function_has_its_own(packaged: Packaged) -> None:
    used = [function["Role"]["Fn::Sub"] for function in packaged.of_type("AWS::Lambda::Function").values()]
    roles = packaged.of_type("AWS::IAM::Role")
    assert sorted(used) == sorted(f"${{{name}.Arn}}" for name in roles)
    for name, role in roles.items():
        (policy,) = role["Policies"]
        log = policy["PolicyDocument"]["Statement"][0]
        assert {"Fn::Sub": f"${{{name.removesuffix('Role')}LogGroup.Arn}}"} == log["Resource"]
        assert ["logs:CreateLogStream", "logs:PutLogEvents"] == log["Action"]


def test_only_the_login_may_write_the_secret(packages: dict[str, Packaged]) -> None:
    found = {name: rights(role) for name, role in packages["rest"].of_type("AWS::IAM::Role").items()}
    special = {"LoginRole": STATE | {READ, WRITE}, "HealthRole": {"dynamodb:GetItem"}}
    assert {name: special.get(name, STATE | {READ}) for name in found} == found


def test_url_streams_and_has_both_permissions(packages: dict[str, Packaged]) -> None:
    (url,) = packages["url"].of_type("AWS::Lambda::Url").values()
    allowed = packages["url"].of_type("AWS::Lambda::Permission").values()
    assert ("RESPONSE_STREAM", "NONE", URL_RIGHTS) == (
        url["InvokeMode"],
        url["AuthType"],
        {p["Action"] for p in allowed},
    )
    by_action = {p["Action"]: p for p in allowed}
    assert "NONE" == by_action["lambda:InvokeFunctionUrl"]["FunctionUrlAuthType"]
    assert True is by_action["lambda:InvokeFunction"]["InvokedViaFunctionUrl"]


def test_every_api_method_streams(packages: dict[str, Packaged]) -> None:
    (api,) = packages["rest"].of_type("AWS::ApiGateway::RestApi").values()
    methods = packages["rest"].of_type("AWS::ApiGateway::Method").values()
    modes = {method["Integration"]["ResponseTransferMode"] for method in methods}
    assert (["REGIONAL"], {"STREAM"}) == (api["EndpointConfiguration"]["Types"], modes)


def test_every_endpoint_is_a_function(packages: dict[str, Packaged]) -> None:
    served = {f["Handler"] for f in packages["rest"].of_type("AWS::Lambda::Function").values()}
    every = {module.__name__.rpartition(".")[2] for module in (*handlers.ENDPOINTS, *handlers.UNVERSIONED)}
    modules = (
        every - set(handlers.BESIDE.values()) - {"metrics"}
    )  # nobody can ask a function's processes one by one
    assert (modules, modules) == ({name.rpartition(".")[2] for name in served}, set(endpoints.NAMES))


def test_handlers_name_modules_that_exist(packaged: Packaged) -> None:
    for function in packaged.of_type("AWS::Lambda::Function").values():
        module, _, _ = function["Handler"].rpartition(".")
        assert callable(importlib.import_module(module).__getattr__)


def test_functions_are_as_the_design_says(packaged: Packaged) -> None:
    for function in packaged.of_type("AWS::Lambda::Function").values():
        assert ("python3.13", ["arm64"]) == (function["Runtime"], function["Architectures"])
        assert {"Key": "stage", "Value": "prod"} in function["Tags"]
        assert "ReservedConcurrentExecutions" not in function
        assert (
            "/var/task/infra/aws/bootstrap" == function["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"]
        )
    assert {14} == {group["RetentionInDays"] for group in packaged.of_type("AWS::Logs::LogGroup").values()}
    assert {} == packaged.of_type("AWS::Lambda::Version")


def test_table_ends_records_and_outlives_the_stack(packaged: Packaged) -> None:
    table = packaged.template["Resources"]["StateTable"]
    ttl = table["Properties"]["TimeToLiveSpecification"]
    kept = {packaged.template["Resources"][name]["DeletionPolicy"] for name in ("StateTable", "GithubToken")}
    assert ({"AttributeName": "purge_at", "Enabled": True}, {"Retain"}) == (ttl, kept)


def test_alarms_reach_a_topic_and_the_dashboard_is_valid(packaged: Packaged) -> None:
    alarms = packaged.of_type("AWS::CloudWatch::Alarm").values()
    assert {"Errors", "Throttles"} <= {alarm["MetricName"] for alarm in alarms}
    assert 5 <= len(alarms) <= 10, "ten alarms cost nothing"
    assert [{"Ref": "AlarmTopic"}] == [action for alarm in alarms for action in alarm["AlarmActions"]][:1]
    (dashboard,) = packaged.of_type("AWS::CloudWatch::Dashboard").values()
    assert 9 == len(json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"])


def test_dashboard_asks_for_every_function_by_its_whole_name(packaged: Packaged) -> None:
    # What is quoted in a SEARCH is compared whole, and a SEARCH has at most 1024 characters.
    (dashboard,) = packaged.of_type("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    asked = [
        row[0]["expression"] for widget in widgets for row in widget["properties"]["metrics"] if len(row) == 1
    ]
    searches = [search for search in asked if "FunctionName=" in search]
    names = {f["FunctionName"] for f in packaged.of_type("AWS::Lambda::Function").values()}
    found = [set(re.findall(r'"([^"]+)"', search.partition("FunctionName=")[2])) for search in searches]
    assert [names] * 6 == found
    assert 1024 >= max(len(search) for search in searches)


def test_longest_name_that_the_command_takes_is_not_too_long_for_aws(packaged: Packaged) -> None:
    functions = packaged.of_type("AWS::Lambda::Function").values()
    names = [each["FunctionName"] for each in functions]
    names += [each["RoleName"] for each in packaged.of_type("AWS::IAM::Role").values()]
    endings = [len(name.removeprefix("copilot-gateway-prod")) for name in names]
    assert 64 >= LONGEST + len("-") + max(endings)


def test_logs_of_a_stage_are_told_from_those_of_a_stage_whose_name_goes_on(packaged: Packaged) -> None:
    names = [f["FunctionName"] for f in packaged.of_type("AWS::Lambda::Function").values()]
    assert [] == [name for name in names if "-" in name.removeprefix("copilot-gateway-prod-")]


def test_dashboard_shows_every_metric_that_the_functions_write(packaged: Packaged) -> None:
    (dashboard,) = packaged.of_type("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    rows = [row for widget in widgets for row in widget["properties"]["metrics"] if row[0] == NAMESPACE]
    (variables,) = {
        tuple(function["Environment"]["Variables"][f"{PREFIX}{name}"] for name in (SERVICE, STAGE, SWITCH))
        for function in packaged.of_type("AWS::Lambda::Function").values()
    }
    assert ("copilot-gateway", "prod", "1") == variables
    assert {("Service", "copilot-gateway", "Stage", "prod")} == {tuple(row[2:6]) for row in rows}
    assert set(METRICS) == {row[1] for row in rows}


def test_outputs_name_what_the_command_asks_for(packaged: Packaged) -> None:
    assert {"BaseUrl", "TableName", "SecretName", "DashboardUrl"} <= set(packaged.template["Outputs"])


@pytest.mark.parametrize(("transfer", "seconds"), [("STREAM", 900), ("BUFFERED", 28)])
def test_the_api_waits_as_long_as_its_functions_may_take(
    transfer: str, seconds: int, package: Callable[..., Packaged]
) -> None:
    # API Gateway refuses a deployment whose buffered methods wait longer than 29 seconds.
    chosen = package("rest", transfer=transfer, timeout="900")
    methods = chosen.of_type("AWS::ApiGateway::Method").values()
    waits = {method["Integration"].get("TimeoutInMillis", 29_000) for method in methods}
    functions = chosen.of_type("AWS::Lambda::Function").values()
    assert ({29_000, seconds * 1000}, {28, seconds}) == (waits, {each["Timeout"] for each in functions})


@pytest.mark.parametrize("params", [[], ["architecture=x86_64"]])
def test_the_zip_is_looked_for_where_the_command_builds_it(tmp_path: Path, params: list[str]) -> None:
    flags = [f"--param={param}" for param in params]
    told = osls(
        "print", "--path", "package.artifact", "--format", "text", *flags, environ={"HOME": str(tmp_path)}, offline=True
    )  # fmt: skip
    assert Plan(tmp_path, Place("dev", REGION), "url", params, build=True).zip == told.strip()


@pytest.mark.parametrize("front", FRONTS)
def test_choices_are_taken(front: str, package: Callable[..., Packaged]) -> None:
    chosen = package(
        front, name="my-own", memory="1024", timeout="900", concurrency="5", retain="Delete", log_days="30",
        notify="email", alarm_email="me@example.com", enterprise_host="acme.ghe.com", recovery="true",
        metrics="0",
    )  # fmt: skip
    functions = chosen.of_type("AWS::Lambda::Function")
    model = functions["GatewayLambdaFunction" if front == "url" else "MessagesLambdaFunction"]
    assert (1024, 900, 5) == (model["MemorySize"], model["Timeout"], model["ReservedConcurrentExecutions"])
    capped = {name for name, each in functions.items() if "ReservedConcurrentExecutions" in each}
    calling = {"Chat", "Messages", "Responses", "Embeddings"} if front == "rest" else {"Gateway"}
    assert {f"{name}LambdaFunction" for name in calling} == capped
    assert model["FunctionName"].startswith("my-own-prod-")
    assert "acme.ghe.com" == model["Environment"]["Variables"]["COPILOT_GATEWAY_ENTERPRISE_HOST"]
    assert "0" == str(model["Environment"]["Variables"]["COPILOT_GATEWAY_METRICS"])
    assert "Delete" == chosen.template["Resources"]["StateTable"]["DeletionPolicy"]
    (topic,) = chosen.of_type("AWS::SNS::Topic").values()
    assert [{"Protocol": "email", "Endpoint": "me@example.com"}] == topic["Subscription"]
    test_linter_finds_nothing(chosen)
