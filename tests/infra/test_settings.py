"""Settings: merged in order, each with an origin; each wrong one named with path, value, origin, allowed and fix."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from stacks.settings import Settings, SettingsError, read_configuration, read_settings
from stacks.settings.__main__ import app as command
from stacks.settings.model import EngineVersion
from support.templates import LOCAL, ROOT

EXEMPTION = {
    "id": "EX-900",
    "control": "NET-04",
    "reason": "A trial in an empty account, without data of anybody.",
    "owner": "platform",
    "approver": "security",
    "opened": "2026-01-01",
    "expires": "2026-06-30",
}


def _errors(environment: dict[str, str] | None = None, /, **changes: object) -> list[str]:
    """The lines of the error; the keys of `changes` are paths with two underscores for a dot."""
    told = {path.replace("__", "."): value for path, value in changes.items()}
    with pytest.raises(SettingsError) as caught:
        read_settings({"config": str(LOCAL), **told}, environment or {})
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    "file",
    sorted([*(ROOT / "config").glob("*.yaml"), *(ROOT / "config" / "matrix").glob("*.yaml")]),
    ids=lambda file: str(file.relative_to(ROOT / "config")),
)
def test_every_shipped_configuration_is_valid(file: Path) -> None:
    assert read_settings({"config": str(file)}, {}).name == "signalbox"


def test_the_file_comes_from_context_then_from_the_environment_then_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = yaml.safe_load(LOCAL.read_text())
    for name in ("context", "environment"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values | {"name": name}))
    environment = {"SIGNALBOX_DEPLOY_CONFIG": str(tmp_path / "environment.yaml")}
    monkeypatch.chdir(ROOT)

    assert read_settings({"config": str(tmp_path / "context.yaml")}, environment).name == "context"
    assert read_settings({}, environment).name == "environment"
    assert read_settings({}, {}).name == "signalbox"


def test_profile_then_file_then_context_then_environment_and_each_value_knows_its_origin(tmp_path: Path) -> None:
    file = tmp_path / "four.yaml"
    written = yaml.safe_load(LOCAL.read_text())
    file.write_text(yaml.safe_dump(written | {"service": {"serve": {"most": 11}, "memory": 2048}}))

    found = read_configuration(
        {"config": str(file), "service.memory": "3072", "database.max_capacity": "8.5", "aws:cdk:enable": True},
        {"SIGNALBOX_DEPLOY_SERVICE__MEMORY": "4096", "HOME": "/"},
    )

    service = found.settings.service
    assert (service.cpu, service.serve.least, service.serve.most, service.memory) == (512, 2, 11, 4096)
    assert {
        path: str(origin) for path, origin in found.origins.items() if path.startswith(("service.", "database.max"))
    } == {
        "service.cpu": "profile standard",
        "service.serve.least": "profile standard",
        "service.serve.most": str(file),
        "service.reconcile.least": "profile standard",
        "service.reconcile.most": "profile standard",
        "service.memory": "the environment",
        "database.max_capacity": "-c",
    }


def test_text_becomes_the_fields_type_and_null_takes_a_value_away() -> None:
    settings = read_settings(
        {
            "config": str(ROOT / "config" / "matrix" / "ha-dr.yaml"),
            "availability_zones": "us-east-1a, us-east-1c,us-east-1d",
            "edge.hosted_zone_id": "null",
            "edge.firewall": "true",
        },
        {"SIGNALBOX_DEPLOY_OBSERVABILITY__ALARM_EMAIL": ""},
    )

    assert settings.availability_zones == ("us-east-1a", "us-east-1c", "us-east-1d")
    assert settings.edge.hosted_zone_id is None
    assert settings.observability.alarm_email is None


@pytest.mark.parametrize(
    ("path", "got"),
    [
        ("name", "Signal Box"),
        ("account", 123456789012),  # YAML reads unquoted digits as a number
        ("region", "mars"),
        ("region", "cn-north-1"),
        ("region", "us-gov-west-1"),
        ("availability_zones", ["us-east-1a", "us-east-1a", "us-east-1b"]),
        ("availability_zones", ["us-east-1a", "us-east-1b"]),
        ("availability_zones", ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
        ("permission_boundary_arn", "boundary"),
        ("keys.data_arn", "alias/data"),
        ("keys.data_arn", "arn:aws:kms:eu-west-1:000000000000:key/1"),
        ("network.cidr", "10.40.0.1/16"),
        ("network.cidr", "8.8.0.0/16"),
        ("network.cidr", "10.0.0.0/8"),
        ("network.cidr", "10.0.0.0/24"),
        ("network.cidr", "here"),
        ("network.nat_gateways", 4),
        ("network.s3_prefix_list_id", "com.amazonaws.us-east-1.s3"),
        ("network.tasks", "anywhere"),
        ("edge.domain_name", "Signalbox"),
        ("edge.hosted_zone_id", "signalbox.example.com"),
        ("edge.certificate_arn", "arn:aws:acm:eu-west-1:000000000000:certificate/6a2b"),
        ("edge.firewall", "perhaps"),
        ("image.repository", "docker.io/library/signalbox"),
        ("image.repository", "000000000000.dkr.ecr.us-east-1.amazonaws.com/signalbox:latest"),
        ("image.repository", "000000000000.dkr.ecr.eu-west-1.amazonaws.com/signalbox"),
        ("image.digest", "latest"),
        ("image.digest", "sha256:" + "A" * 64),
        ("database.engine_version", "15.4"),
        ("database.engine_version", 17.7),
        ("database.min_capacity", "0.3"),
        ("database.max_capacity", 0.5),
        ("database.max_capacity", 300),
        ("database.instance_class", "m5.large"),
        ("database.backup_days", 36),
        ("backup.lock_grace_days", 2),
        ("service.cpu", 500),
        ("service.memory", 512),
        ("service.serve.least", 0),
        ("service.serve.most", 1),
        ("observability.alarm_email", "nobody"),
        ("observability.runbooks", "http://wiki/"),
        ("evidence.schedule", "hourly"),
        ("evidence.lock_days", 0),
        ("identity.oidc.issuer", "http://login.example.com"),
        ("patching.source", "git@example.com:signalbox"),
        ("profile", "prod"),
    ],
)
def test_a_wrong_value_is_named_with_path_value_origin_allowed_and_fix(path: str, got: object) -> None:
    line = next(line for line in _errors(**{path.replace(".", "__"): got}) if line.startswith(f"{path}: "))

    description, _ = _field(path)
    assert line == f"{path}: got {got!r} (from -c); allowed: {description}; pass -c {path}=VALUE"


def _field(path: str) -> tuple[str, Any]:
    schema = Settings.model_json_schema()
    place: Any = schema
    description = None
    for part in path.split("."):
        place = place["properties"][part]
        ways = [place, *place.get("allOf", []), *place.get("anyOf", [])]
        reference = next((way["$ref"].rsplit("/", 1)[1] for way in ways if "$ref" in way), None)
        description = place.get("description")
        if reference:
            place = schema["$defs"][reference]
    assert description
    return description, place


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"network__endpoint_zones": 0, "network__nat_gateways": 0}, "network.endpoint_zones"),
        (
            {"service__working_hours": {"timezone": "UTC", "days": "MON-FRI", "start": 9, "stop": 8}},
            "service.working_hours.stop",
        ),
        ({"profile": "ha-dr"}, "recovery.region"),
        ({"exceptions": [EXEMPTION, EXEMPTION]}, "exceptions.1.id"),
        ({"exceptions": [EXEMPTION | {"approver": "Platform"}]}, "exceptions.0.approver"),
        ({"exceptions": [EXEMPTION | {"expires": "2026-07-01"}]}, "exceptions.0.expires"),
        ({"exceptions": [EXEMPTION | {"reason": "because"}]}, "exceptions.0.reason"),
    ],
)
def test_settings_that_contradict_each_other_name_the_one_to_change(changes: dict[str, object], path: str) -> None:
    assert any(line.startswith(f"{path}: got ") for line in _errors(**changes)), _errors(**changes)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"region": "us-east-1"}, "recovery.region"),
        ({"availability_zones": ["us-east-1a", "us-east-1b", "us-east-1c"]}, "recovery.availability_zones"),
        ({"cidr": "10.40.128.0/20"}, "recovery.cidr"),
        ({"cidr": "nowhere"}, "recovery.cidr"),
    ],
)
def test_the_second_region_is_another_one_and_its_network_too(changes: dict[str, object], path: str) -> None:
    config = str(ROOT / "config" / "matrix" / "ha-dr.yaml")
    lines = _errors(config=config, **{f"recovery__{name}": value for name, value in changes.items()})

    assert [line.split(":")[0] for line in lines if line.startswith(path)] == [path]


def test_an_unknown_setting_is_refused_and_the_nearest_named() -> None:
    assert _errors(image__digets="sha256:0") == ["image.digets (from -c): no such setting; allowed: digest"]
    assert _errors(imagine="x") == ["imagine (from -c): no such setting; allowed: image"]
    assert _errors({"SIGNALBOX_DEPLOY_DATABASE__READER": "1"}) == [
        "database.reader (from the environment): no such setting; allowed: readers"
    ]


def test_the_fix_fits_the_origin(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    values = yaml.safe_load(LOCAL.read_text())
    file.write_text(yaml.safe_dump(values | {"edge": {"zones": 1}}))

    lines = _errors({"SIGNALBOX_DEPLOY_SERVICE__CPU": "1"}, config=str(file))

    assert [line.rsplit("; ", 1)[1] for line in lines] == [
        "set SIGNALBOX_DEPLOY_SERVICE__CPU",
        f"change edge.domain_name in {file}",
        f"change edge.zones in {file}",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [("- a list", "wanted a mapping of settings to values, got list"), ("{", "wanted a YAML file of settings, got: ")],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(content)

    assert f"{file}: {said}" in "\n".join(_errors(config=str(file)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert _errors(config=str(tmp_path / "none.yaml")) == [
        f"{tmp_path / 'none.yaml'}: wanted a YAML file of settings, got: No such file or directory"
    ]


def test_every_offered_engine_version_is_known_to_cdk_and_not_deprecated() -> None:
    from aws_cdk import aws_rds as rds  # noqa: PLC0415 - starts node, so only when a test needs it

    for version in get_args(EngineVersion):
        constant = f"VER_{version.replace('.', '_')}"
        known = getattr(rds.AuroraPostgresEngineVersion, constant, None)
        assert known is not None, version
        assert known.aurora_postgres_full_version == version


def test_settings_are_frozen() -> None:
    settings = read_settings({"config": str(LOCAL)}, {})

    with pytest.raises(ValueError, match="frozen"):
        settings.database.min_capacity = 5  # type: ignore[misc] - that it may not is what is tested


def test_the_shipped_schema_is_that_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["schema"], result_action="return_value") == 0

    assert json.loads(capsys.readouterr().out) == json.loads((ROOT / "config" / "schema.json").read_text())


def test_the_command_shows_each_value_with_its_origin(capsys: pytest.CaptureFixture[str]) -> None:
    told = ["show", "-c", f"config={LOCAL}", "-c", "database.readers=2", "-o", "json"]
    assert command(told, result_action="return_value") == 0

    rows = {row["path"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["database.readers"] == {"path": "database.readers", "value": 2, "origin": "-c"}
    assert rows["database.backup_days"]["origin"] == "profile standard"
    assert rows["keys.data_arn"]["origin"] == "default"

    assert command(["show", "-c", f"config={LOCAL}", "-c", "account=1"], result_action="return_value") == 2
    assert "account: got '1' (from -c)" in capsys.readouterr().err
