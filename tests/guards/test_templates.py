import json
from pathlib import Path
from typing import Any

import pytest

from signalbox_guards.assembly import read_assembly, read_matrix
from signalbox_guards.errors import BadInput
from signalbox_guards.templates import normalised, normalised_text, plain
from support.assemblies import Draft
from support.hand_made import resource, stack, write_assembly

SHA = "0123456789abcdef" * 4


def test_a_plain_template_has_no_trace_of_the_cdk(pristine: Draft) -> None:
    for template in pristine.stacks.values():
        text = json.dumps(plain(template))

        assert "BootstrapVersion" not in text
        assert "aws:cdk:path" not in text
        assert "/cdk-bootstrap/" not in text
        assert set(plain(template)["Resources"]) == set(template["Resources"])
        assert "BootstrapVersion" in json.dumps(template)


def test_metadata_of_others_stays() -> None:
    metadata: dict[str, Any] = {"aws:cdk:path": "a/b", "cfn-lint": {"config": {}}}
    template = {"Resources": {"Key": resource("AWS::KMS::Key", Metadata=metadata)}}

    assert plain(template)["Resources"]["Key"]["Metadata"] == {"cfn-lint": {"config": {}}}


def test_a_new_digest_or_asset_does_not_change_the_normalised_text() -> None:
    def template(sha: str) -> dict[str, Any]:
        image = f"repository@sha256:{sha}"
        code = {"S3Bucket": "cdk-hnb659fds-assets-1-us-east-1", "S3Key": f"{sha}.zip"}
        task = resource("AWS::ECS::TaskDefinition", {"ContainerDefinitions": [{"Image": image}]})
        return {
            "Resources": {
                "Task": task,
                "Function": resource(
                    "AWS::Lambda::Function", {"Code": code}, Metadata={"aws:asset:path": f"asset.{sha}"}
                ),
                "CDKMetadata": resource("AWS::CDK::Metadata", {"Analytics": f"v2:{sha}"}),
            }
        }

    one, other = normalised_text(template(SHA)), normalised_text(template("f" * 64))

    assert one == other
    assert "repository@sha256:DIGEST" in one
    assert SHA not in one
    assert "CDKMetadata" not in one


def test_a_real_change_changes_the_normalised_text(pristine: Draft, draft: Draft) -> None:
    name = draft.all("AWS::RDS::DBCluster")[0][0]
    draft.properties("AWS::RDS::DBCluster")["BackupRetentionPeriod"] = 1

    assert normalised_text(pristine.stacks[name]) != normalised_text(draft.stacks[name])


def test_normalising_is_stable_and_leaves_its_argument_alone(pristine: Draft) -> None:
    for template in pristine.copy().stacks.values():
        before = json.dumps(template)
        once = normalised(template)

        assert json.dumps(template) == before
        assert normalised(once) == once
        assert json.loads(normalised_text(template)) == once


def test_the_command_prints_every_stack(matrix: Path, pristine: Draft, command: Any) -> None:
    text = command("normalise", matrix / "dev")
    assert text.code == 0
    assert all(f"# {name}\n" in text.out for name in pristine.stacks)
    assert set(json.loads(command("normalise", matrix / "dev", "-o", "json").out)) == set(pristine.stacks)


def test_stacks_come_after_those_that_they_depend_on(matrix: Path) -> None:
    names = [name.rpartition("-")[2] for name in read_assembly(matrix / "dev").stacks]

    assert names.index("network") < names.index("data") < names.index("service")


HIDING: list[tuple[dict[str, Any], str]] = [
    ({"Transform": "AWS::Serverless-2016-10-31", "Resources": {}}, "Transform"),
    ({"Resources": {"Inner": {"Type": "AWS::CloudFormation::Stack"}}}, "nested stack"),
    ({"Resources": {"Inner": {}}}, "no Type"),
]


@pytest.mark.parametrize(("template", "told"), HIDING)
def test_what_would_hide_resources_is_refused(template: dict[str, Any], told: str, tmp_path: Path) -> None:
    write_assembly(tmp_path, stack("s", {}))
    (tmp_path / "s.template.json").write_text(json.dumps(template))

    with pytest.raises(BadInput, match=told):
        read_assembly(tmp_path)


BROKEN = [
    (None, "wanted a folder with one cloud assembly a configuration"),
    ("{", "wanted JSON"),
    ("[]", "wanted a JSON object"),
    ('{"artifacts": {}}', "at least one stack"),
    ('{"artifacts": {"s": {"type": "cdk:cloud-assembly"}}}', "stages"),
    ('{"artifacts": {"s": {"type": "aws:cloudformation:stack"}}}', "no template file"),
]


@pytest.mark.parametrize(("manifest", "told"), BROKEN)
def test_a_broken_assembly_is_named(manifest: str | None, told: str, tmp_path: Path, command: Any) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)

    with pytest.raises(BadInput, match=told):
        read_matrix(tmp_path)
    outcome = command("lock", "check", tmp_path)
    assert outcome.code == 2
    assert str(tmp_path) in outcome.err
    assert command("cost", tmp_path / "nowhere").code == 2


def test_an_unknown_option_is_bad_input(command: Any) -> None:
    assert command("cost", "--no-such-option").code == 2
    assert command("--help").code == 0
