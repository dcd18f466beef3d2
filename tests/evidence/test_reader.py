"""The door to AWS: only allowed reads, every page, nothing that failed taken for an answer, no secret kept."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from signalbox_evidence.capabilities import NO_LIMITS
from signalbox_evidence.catalogue import Params, load
from signalbox_evidence.errors import ReadFailed
from signalbox_evidence.live.clients import Clients, Identity, NotAllowed
from signalbox_evidence.live.reader import Probe, Reader
from signalbox_evidence.live.reads import READS, keep
from signalbox_evidence.live.world import LiveWorld, Place
from signalbox_evidence.observation import Context, Status, observe

CLUSTER = {
    "DBClusterIdentifier": "signalbox",
    "DBClusterArn": "arn:aws:rds:us-east-1:000000000000:cluster:signalbox",
    "StorageEncrypted": True,
    "MasterUsername": "signalbox",
}


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    """Clients of an endpoint where nobody listens: a call that is not stubbed fails."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return Clients("us-east-1")


@pytest.fixture
def rds(clients: Clients) -> Iterator[Stubber]:
    with Stubber(clients.of("rds")) as stub:
        yield stub


def _stacks(stub: Stubber, resources: list[tuple[str, str]], status: str = "CREATE_COMPLETE") -> None:
    stack = {"StackName": "data", "StackId": "arn:stack/data", "StackStatus": status, "CreationTime": "2026-01-01"}
    stub.add_response("describe_stacks", {"Stacks": [stack]})
    rows = [
        {
            "LogicalResourceId": f"R{number}",
            "PhysicalResourceId": physical,
            "ResourceType": type_name,
            "ResourceStatus": "CREATE_COMPLETE",
            "LastUpdatedTimestamp": "2026-01-01",
        }
        for number, (type_name, physical) in enumerate(resources)
    ]
    if status == "CREATE_COMPLETE":
        stub.add_response("list_stack_resources", {"StackResourceSummaries": rows})


def _observe(clients: Clients, control_id: str) -> tuple[Status, str]:
    control = load().control(control_id)
    world = LiveWorld("000000000000", [Place(Reader(clients), ["data"])])
    context = Context(run_id="run", catalogue_sha256="0")
    seen = observe(control, world, Params(control, {}), limits=NO_LIMITS, context=context, calls=world.calls)
    return seen.status, seen.reason


@pytest.mark.parametrize(
    ("service", "method", "arguments"),
    [
        ("rds", "delete_db_cluster", {"DBClusterIdentifier": "signalbox", "SkipFinalSnapshot": True}),
        ("ec2", "authorize_security_group_ingress", {"GroupId": "sg-1"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "x"}),
        ("s3", "get_object", {"Bucket": "b", "Key": "k"}),
        ("iam", "list_users", {}),
    ],
)
def test_a_call_outside_of_the_allow_list_never_leaves(
    service: str, method: str, arguments: dict[str, Any], clients: Clients
) -> None:
    with pytest.raises(NotAllowed, match="not in the allow-list"):
        getattr(clients.of(service), method)(**arguments)


def test_the_allow_list_holds_reads_only() -> None:
    verbs = {operation.partition(":")[2] for operation in READS}

    assert all(verb.startswith(("Describe", "Get", "List")) for verb in verbs)
    assert not verbs & {"GetSecretValue", "GetObject", "GetLogEvents", "GetParameter"}


def test_every_page_is_read_and_kept(clients: Clients, rds: Stubber) -> None:
    rds.add_response("describe_db_clusters", {"DBClusters": [CLUSTER], "Marker": "more"})
    second = {**CLUSTER, "DBClusterIdentifier": "other"}
    rds.add_response("describe_db_clusters", {"DBClusters": [second]}, {"Marker": "more"})
    reader = Reader(clients)
    probe = Probe(reader)

    rows = probe.rows("rds:DescribeDBClusters", "DBClusters")

    assert [row["DBClusterIdentifier"] for row in rows] == ["signalbox", "other"]
    assert [call.page for call in probe.calls] == [1, 2]
    assert {call.raw for call in probe.calls} == reader.raw.keys()


def test_only_the_listed_fields_are_kept(clients: Clients, rds: Stubber) -> None:
    rds.add_response("describe_db_clusters", {"DBClusters": [CLUSTER]})
    reader = Reader(clients)

    pages, _ = reader.read("rds:DescribeDBClusters", {})

    assert "MasterUsername" not in pages[0]["DBClusters"][0]
    assert all(b"MasterUsername" not in content for content in reader.raw.values())


def test_a_secret_in_the_environment_is_judged_and_not_kept() -> None:
    secret = "correct horse battery staple"
    variables = [{"name": "DB_PASSWORD", "value": secret}, {"name": "PGSSLMODE", "value": "verify-full"}]
    answer = {"taskDefinition": {"containerDefinitions": [{"name": "app", "environment": variables}]}}

    kept = keep(READS["ecs:DescribeTaskDefinition"], answer)

    judged = kept["taskDefinition"]["containerDefinitions"][0]["environment"]
    assert judged == [
        {"name": "DB_PASSWORD", "resembles": "a secret, by its name", "value": None},
        {"name": "PGSSLMODE", "resembles": None, "value": "verify-full"},
    ]
    assert secret not in json.dumps(kept)


@pytest.mark.parametrize("code", ["AccessDenied", "ThrottlingException", "RequestLimitExceeded", "InternalFailure"])
def test_a_refused_or_throttled_call_is_an_error_and_never_a_pass(code: str, clients: Clients, rds: Stubber) -> None:
    with Stubber(clients.of("cloudformation")) as stacks:
        _stacks(stacks, [("AWS::RDS::DBCluster", "signalbox")])
        rds.add_client_error("describe_db_clusters", code, "no")

        status, reason = _observe(clients, "DAT-01")

    assert status is Status.ERROR
    assert code in reason
    assert "rds:DescribeDBClusters" in reason


def test_a_refused_call_is_not_asked_again_for_the_next_control(clients: Clients, rds: Stubber) -> None:
    rds.add_client_error("describe_db_clusters", "AccessDenied", "no")
    reader = Reader(clients)

    for _ in range(2):
        with pytest.raises(ReadFailed, match="AccessDenied"):
            reader.read("rds:DescribeDBClusters", {})


def test_an_empty_answer_about_a_listed_resource_is_an_error(clients: Clients, rds: Stubber) -> None:
    with Stubber(clients.of("cloudformation")) as stacks:
        _stacks(stacks, [("AWS::RDS::DBCluster", "signalbox")])
        rds.add_response("describe_db_clusters", {"DBClusters": []})

        status, reason = _observe(clients, "DAT-01")

    assert status is Status.ERROR
    assert "CloudFormation lists ['signalbox'], which the service does not describe" in reason


def test_an_empty_stack_is_an_error(clients: Clients) -> None:
    with Stubber(clients.of("cloudformation")) as stacks:
        _stacks(stacks, [])

        assert _observe(clients, "DAT-01") == (Status.ERROR, "there is no database cluster to look at")


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "ROLLBACK_COMPLETE", "DELETE_FAILED", "UPDATE_FAILED"])
def test_a_stack_in_the_middle_of_something_is_an_error(status: str, clients: Clients) -> None:
    with Stubber(clients.of("cloudformation")) as stacks:
        _stacks(stacks, [], status)

        assert _observe(clients, "DAT-01") == (
            Status.ERROR,
            f"stack data: wanted a settled stack, got {status}",
        )


def test_a_missing_bucket_policy_is_an_answer_and_a_missing_bucket_is_not(clients: Clients) -> None:
    probe = Probe(Reader(clients))
    with Stubber(clients.of("s3")) as s3:
        s3.add_client_error("get_bucket_policy", "NoSuchBucketPolicy")
        s3.add_client_error("get_bucket_policy", "NoSuchBucket")

        assert probe.read("s3:GetBucketPolicy", missing=["NoSuchBucketPolicy"], Bucket="a") == []
        with pytest.raises(ReadFailed, match="NoSuchBucket"):
            probe.read("s3:GetBucketPolicy", missing=["NoSuchBucketPolicy"], Bucket="b")

    assert [(call.operation, call.error) for call in probe.calls] == [("GetBucketPolicy", "NoSuchBucketPolicy")]


def _identity(clients: Clients) -> Identity:
    answer = {"Account": "000000000000", "Arn": "arn:aws:iam::000000000000:user/a", "UserId": "a"}
    with Stubber(clients.of("sts")) as sts:
        sts.add_response("get_caller_identity", answer)
        return clients.identity()


def test_one_service_of_an_emulator_makes_all_of_it_an_emulator(
    monkeypatch: pytest.MonkeyPatch, clients: Clients
) -> None:
    assert _identity(clients).is_emulator

    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert not _identity(Clients("us-east-1")).is_emulator

    monkeypatch.setenv("AWS_ENDPOINT_URL_RDS", "http://127.0.0.1:9")
    assert _identity(Clients("us-east-1")).is_emulator
