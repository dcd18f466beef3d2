"""Patching: images that cannot be swapped, a rebuild that is on time, and somebody who is told."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.templates import Deployment, Resource

REPOSITORY = "AWS::ECR::Repository"
TOPIC = "AWS::SNS::Topic"
RULE = "AWS::Events::Rule"
PROJECT = "AWS::CodeBuild::Project"
NOTICES = "signalbox-patching/Notices/"

Deployments = Callable[[str], Deployment]


@pytest.fixture(params=("dev", "standard", "lean", "ha-dr", "byo"))
def each(request: pytest.FixtureRequest, deployments: Deployments) -> Deployment:
    """Every configuration of the matrix in turn."""
    return deployments(request.param)


def _statements(deployment: Deployment, path: str) -> tuple[Resource, list[dict[str, Any]]]:
    policy = deployment.one("AWS::IAM::Policy", path)
    return policy, policy.properties["PolicyDocument"]["Statement"]


@pytest.mark.parametrize("name", ["dev", "standard", "lean", "ha-dr"])
def test_images_are_scanned_encrypted_kept_and_never_swapped(deployments: Deployments, name: str) -> None:
    deployment = deployments(name)
    repository = deployment.one(REPOSITORY)
    encryption = repository.properties["EncryptionConfiguration"]

    assert repository.properties["RepositoryName"] == "signalbox"
    assert repository.properties["ImageTagMutability"] == "IMMUTABLE"
    assert repository.properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert encryption["EncryptionType"] == "KMS"
    key = deployment.one("AWS::KMS::Key", "signalbox-keys/Operations")
    assert deployment.refers(repository, encryption["KmsKey"]) == key
    assert repository.definition["DeletionPolicy"] == repository.definition["UpdateReplacePolicy"] == "Retain"
    assert deployment.manifest["artifacts"]["signalbox-patching"]["properties"]["terminationProtection"] is True


def test_what_is_deployed_is_never_swept_away(deployments: Deployments) -> None:
    text = deployments("standard").one(REPOSITORY).properties["LifecyclePolicy"]["LifecyclePolicyText"]
    rules = json.loads(text)["rules"]

    assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged"]  # tags are immutable and never taken off


def test_a_repository_that_was_brought_along_is_used_and_none_is_made(deployments: Deployments) -> None:
    byo = deployments("byo")

    assert REPOSITORY not in {it.kind for it in byo.resources}
    pattern = byo.one(RULE, "/BasicScan").properties["EventPattern"]
    assert pattern["detail"]["repository-name"] == ["platform/signalbox"]


def test_the_topic_is_encrypted_and_published_to_over_tls_by_rules_of_this_account(each: Deployment) -> None:
    topic = each.one(TOPIC, NOTICES)
    policy = each.one("AWS::SNS::TopicPolicy", NOTICES).properties["PolicyDocument"]["Statement"]
    allowed = [it for it in policy if it["Effect"] == "Allow"]

    assert topic.properties["KmsMasterKeyId"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [it["Condition"] for it in policy if it["Effect"] == "Deny"]
    assert [it["Principal"] for it in allowed] == [{"Service": "events.amazonaws.com"}]
    assert allowed[0]["Condition"] == {"ArnLike": {"aws:SourceArn": "arn:aws:events:us-east-1:000000000000:rule/*"}}


def test_the_key_admits_events_for_topics_of_this_account_only(deployments: Deployments) -> None:
    key = deployments("standard").one("AWS::KMS::Key", "signalbox-keys/Operations")
    said = key.properties["KeyPolicy"]["Statement"]
    (statement,) = [it for it in said if "events.amazonaws.com" in it["Principal"].get("Service", [])]

    topics = statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:sns:topicArn"]
    assert topics == "arn:aws:sns:us-east-1:000000000000:*"


def test_grave_findings_of_either_scanner_are_told(each: Deployment) -> None:
    topic = each.one(TOPIC, NOTICES)
    basic, enhanced = (each.one(RULE, f"/{name}") for name in ("BasicScan", "EnhancedScan"))
    counts = basic.properties["EventPattern"]["detail"]["finding-severity-counts"]["$or"]

    for rule in (basic, enhanced):
        assert [each.refers(rule, it["Arn"]) for it in rule.properties["Targets"]] == [topic]
    assert [list(it) for it in counts] == [["CRITICAL"], ["HIGH"]]
    assert {json.dumps(value) for it in counts for value in it.values()} == {'[{"numeric": [">", 0]}]'}
    assert enhanced.properties["EventPattern"]["detail"]["severity"] == ["CRITICAL", "HIGH"]


def test_without_a_source_somebody_is_reminded(deployments: Deployments) -> None:
    standard = deployments("standard")
    schedule = standard.one("AWS::Scheduler::Schedule", "signalbox-patching/")
    target = schedule.properties["Target"]
    policy, statements = _statements(standard, "/ScheduleRole/")

    assert PROJECT not in {it.kind for it in standard.resources}
    assert schedule.properties["ScheduleExpression"] == "cron(0 6 1 * ? *)"
    assert standard.refers(schedule, target["Arn"]) == standard.one(TOPIC, NOTICES)
    assert "docs/runbooks/upgrade.md" in target["Input"]
    granted = {json.dumps(it["Action"]): standard.refers(policy, it["Resource"]) for it in statements}
    assert granted == {
        '"sns:Publish"': standard.one(TOPIC, NOTICES),
        '["kms:Decrypt", "kms:GenerateDataKey"]': standard.one("AWS::KMS::Key", "signalbox-keys/Operations"),
    }


def test_with_a_source_the_image_is_built_anew_and_the_result_is_told(deployments: Deployments) -> None:
    byo = deployments("byo")
    schedule, project = byo.one("AWS::Scheduler::Schedule", "signalbox-patching/"), byo.one(PROJECT)
    policy, (start,) = _statements(byo, "/ScheduleRole/")
    rebuilt = byo.one(RULE, "/Rebuilt")

    assert byo.refers(schedule, schedule.properties["Target"]["Arn"]) == project
    assert start["Action"] == "codebuild:StartBuild"
    assert byo.refers(policy, start["Resource"]) == project
    (name,) = rebuilt.properties["EventPattern"]["detail"]["project-name"]
    assert byo.refers(rebuilt, name) == project


def test_a_build_may_push_to_one_repository_and_write_one_log(deployments: Deployments) -> None:
    byo = deployments("byo")
    policy, statements = _statements(byo, "/Rebuild/Role/")
    repository = "arn:aws:ecr:us-east-1:000000000000:repository/platform/signalbox"
    logs = byo.one("AWS::Logs::LogGroup", "/Rebuild/")
    for statement in statements:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        where = byo.refers(policy, statement["Resource"])
        wanted = "*" if actions == ["ecr:GetAuthorizationToken"] else logs if "logs" in actions[0] else repository
        assert where == wanted, actions
        assert not any("*" in action for action in actions)


def test_a_build_is_encrypted_logged_on_arm_and_holds_no_credentials(deployments: Deployments) -> None:
    byo = deployments("byo")
    project = byo.one(PROJECT)
    environment = project.properties["Environment"]
    logging = project.properties["LogsConfig"]["CloudWatchLogs"]
    variables = {it["Name"]: it["Value"] for it in environment["EnvironmentVariables"]}

    assert environment["Type"] == "ARM_CONTAINER"
    assert project.properties["EncryptionKey"].endswith("22222222-2222-2222-2222-222222222222")
    assert project.properties["Source"]["Type"] == "NO_SOURCE"
    assert byo.refers(project, logging["GroupName"]) == byo.one("AWS::Logs::LogGroup", "/Rebuild/")
    assert variables == {
        "SOURCE": "https://git.example.com/platform/signalbox.git",
        "REVISION": "main",
        "REPOSITORY": "000000000000.dkr.ecr.us-east-1.amazonaws.com/platform/signalbox",
    }


_STAND_INS = {
    "git": """case "$1" in clone) mkdir -p "${@: -1}";; *) echo 0123456789ab;; esac""",
    "aws": "echo a-password",
    "curl": """while [ "$1" != --output ]; do shift; done; mkdir -p "$(dirname "$2")"; echo bundle > "$2" """,
    "docker": """echo "$@" >> "$CALLS"; [ "$1 $2" != "$REFUSED" ] || exit 1
case "$1 $2" in "login --username") cat > /dev/null;; "image inspect") echo "${@: -1}@sha256:%s";; esac"""
    % ("ab" * 32),
}


def _run(directory: Path, *, refused: str = "") -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the build's commands in one shell, as CodeBuild does, over stand-ins for what a build machine has."""
    from signalbox_constructs.rebuild import build_specification  # noqa: PLC0415 - starts node, so only when needed

    programs = directory / "programs"
    programs.mkdir()
    for name, text in _STAND_INS.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    specification = build_specification()
    commands = [line for phase in specification["phases"].values() for line in phase["commands"]]
    exported = " ".join(f"{name}=${name}" for name in specification["env"]["exported-variables"])
    result = subprocess.run(
        ["bash", "-c", "\n".join(["set -e", *commands, f'echo "{exported}"'])],
        cwd=directory,
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CALLS": str(directory / "calls"),
            "REFUSED": refused,
            "SOURCE": "https://git.example.com/signalbox.git",
            "REVISION": "main",
            "REPOSITORY": "000000000000.dkr.ecr.us-east-1.amazonaws.com/signalbox",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return result, (directory / "calls").read_text()


def test_the_build_says_tag_and_digest_of_what_it_pushed_and_on_what_it_stands(tmp_path: Path) -> None:
    result, calls = _run(tmp_path)

    assert result.returncode == 0, result.stderr
    last = result.stdout.splitlines()[-1]
    tag = last.split()[0].removeprefix("IMAGE_TAG=")
    assert tag.startswith("rebuild-2")
    assert tag.endswith("-0123456789ab")
    assert last.endswith(f" IMAGE_DIGEST=sha256:{'ab' * 32}")
    assert f"push --quiet 000000000000.dkr.ecr.us-east-1.amazonaws.com/signalbox:{tag}" in calls
    (build,) = [line for line in calls.splitlines() if line.startswith("build ")]
    assert f"PYTHON_IMAGE=public.ecr.aws/docker/library/python:3.13-slim@sha256:{'ab' * 32}" in build
    assert "RDS_BUNDLE_SHA256=" in build
    assert "RDS authorities sha256:" in result.stdout


@pytest.mark.parametrize("refused", ["login --username", "build --file", "push --quiet"])
def test_a_build_that_goes_wrong_ends_there(tmp_path: Path, refused: str) -> None:
    result, calls = _run(tmp_path, refused=refused)

    assert result.returncode != 0
    assert "IMAGE_DIGEST" not in result.stdout
    assert calls.splitlines()[-1].startswith(refused)
