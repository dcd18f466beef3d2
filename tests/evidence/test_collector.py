"""What the scheduled collector does: take the templates from CloudFormation, and leave the report in S3."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from signalbox_evidence.__main__ import main
from signalbox_evidence.canonical import canonical, digest
from signalbox_evidence.live.permissions import action_of, permissions
from signalbox_evidence.live.reads import READS
from signalbox_evidence.store import S3Store

BUCKET = "signalbox-evidence-bucket"
KEPT = {"Resources": {"Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 400}}}}
FORGOTTEN = {"Resources": {"Lost": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 1}}}}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def account(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with a stack in each of two regions, and a bucket."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    for region, name, template in (("us-east-1", "own-here", KEPT), ("us-west-2", "own-there", FORGOTTEN)):
        aws("cloudformation", region).create_stack(StackName=name, TemplateBody=json.dumps(template))
    aws("s3").create_bucket(Bucket=BUCKET)
    yield
    for region, name in (("us-east-1", "own-here"), ("us-west-2", "own-there")):
        aws("cloudformation", region).delete_stack(StackName=name)
    for it in aws("s3").list_objects_v2(Bucket=BUCKET).get("Contents", []):
        aws("s3").delete_object(Bucket=BUCKET, Key=it["Key"])
    aws("s3").delete_bucket(Bucket=BUCKET)


def aws(service: str, region: str | None = None) -> Any:
    """Return a client that may change things."""
    session: Any = boto3.Session()
    return session.client(service, region_name=region)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(str(ended.value.code))


def collect(output: Path, *stacks: str, store: str = f"s3://{BUCKET}/reports") -> int:
    named = [word for stack in stacks for word in ("--stacks", stack)]
    return run("collect", *named, "--output", output, "--store", store)


def test_the_deployed_templates_are_judged_and_the_report_is_stored(
    account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = collect(tmp_path, "us-east-1/own-here", "us-west-2/own-there")

    said = capsys.readouterr().err
    assert code == 7  # two such stacks are no deployment of ours
    report = json.loads((tmp_path / "latest/report.json").read_text())
    assert (report["region"], report["regions"]) == ("us-east-1", ["us-east-1", "us-west-2"])
    assert {it["stack"]: it["sha256"] for it in report["templates"]} == {
        "own-here": digest(canonical(KEPT)),
        "own-there": digest(canonical(FORGOTTEN)),
    }
    observed = {(it["control_id"], it["mode"]): it for it in report["observations"]}
    assert {it["id"] for it in observed["DAT-08", "template"]["subjects"]} == {"own-here/Logs", "own-there/Lost"}
    folder = (tmp_path / "latest").resolve()
    stored = {it["Key"]: it for it in aws("s3").list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert stored.keys() == {f"reports/{folder.name}/{it.relative_to(folder)}" for it in folder.rglob("*.*")}
    last = f"reports/{folder.name}/report.json"
    assert f"stored: s3://{BUCKET}/{last}" in said
    assert aws("s3").get_object(Bucket=BUCKET, Key=last)["Body"].read() == (folder / "report.json").read_bytes()


def test_no_template_is_kept_among_the_raw_answers(account: None, tmp_path: Path) -> None:
    """A template may hold what the readers of a report are not meant to see; its digest is enough."""
    collect(tmp_path, "us-east-1/own-here")

    raw = [gzip.decompress(it.read_bytes()) for it in (tmp_path / "latest/raw").iterdir()]
    assert raw
    assert not [content for content in raw if b"RetentionInDays" in content]


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        ("own-here", "wanted REGION/STACK"),
        ("us-east-1/absent", "wanted a deployed stack"),
    ],
)
def test_a_stack_that_is_not_there_is_bad_input(
    stack: str, words: str, account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect(tmp_path / "out", stack) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_report_that_cannot_be_stored_exits_4(
    account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect(tmp_path, "us-east-1/own-here", store="s3://absent-bucket/reports") == 4
    said = capsys.readouterr().err
    assert "the report was not stored" in said
    assert "stored: s3" not in said


def test_what_is_stored_is_never_written_again(account: None, tmp_path: Path) -> None:
    collect(tmp_path, "us-east-1/own-here")
    folder = (tmp_path / "latest").resolve()
    (folder / "report.json").write_text("{}")

    code = run("collect", "--output", tmp_path, "--store", "s3:/wrong")
    assert code == 2
    with pytest.raises(Exception, match="not stored"):
        S3Store.of(f"s3://{BUCKET}/reports").put(folder)


def test_neither_a_folder_nor_stacks_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("collect", "--output", tmp_path) == 2
    assert "wanted --assembly FOLDER or --stacks" in capsys.readouterr().err


def test_every_read_is_permitted_and_no_permission_is_left_over() -> None:
    allowed = {action for actions in permissions("123456789012", "own").values() for action in actions}

    assert sorted(allowed) == sorted(
        action_of(operation) for operation in READS if operation != "sts:GetCallerIdentity"
    )
    assert not [action for action in allowed if "*" in action]
