"""Settings: each wrong value is named with its origin, what was wanted and what it got; all of them at once."""

from pathlib import Path

import pytest
import yaml

from stacks.settings import Settings, SettingsError, read_settings
from support.templates import LOCAL, ROOT


def _errors(**changes: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read_settings({"config": str(LOCAL), **changes}, {})
    return str(caught.value).splitlines()


@pytest.mark.parametrize("file", sorted((ROOT / "config").glob("*.yaml")), ids=lambda file: file.name)
def test_every_shipped_configuration_is_valid(file: Path) -> None:
    settings = read_settings({"config": str(file)}, {})

    assert settings.image_digest.startswith("sha256:")


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


def test_context_overrides_the_file_and_text_becomes_the_fields_type() -> None:
    settings = read_settings(
        {
            "config": str(LOCAL),
            "serve_tasks": "3",
            "database_max_capacity": "8.5",
            "availability_zones": "us-east-1a,us-east-1c,us-east-1d",
            "@aws-cdk/aws-iam:minimizePolicies": True,
            "aws:cdk:enable-path-metadata": True,
        },
        {},
    )

    assert (settings.serve_tasks, settings.database_max_capacity) == (3, 8.5)
    assert settings.availability_zones == ("us-east-1a", "us-east-1c", "us-east-1d")


@pytest.mark.parametrize(
    ("key", "got"),
    [
        ("name", "Signal Box"),
        ("account", 123456789012),  # YAML reads unquoted digits as a number
        ("region", "mars"),
        ("region", "cn-north-1"),
        ("availability_zones", ["us-east-1a", "us-east-1a", "us-east-1b"]),
        ("availability_zones", ["us-east-1a", "us-east-1b"]),
        ("availability_zones", ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
        ("vpc_cidr", "10.40.0.1/16"),
        ("vpc_cidr", "8.8.0.0/16"),
        ("vpc_cidr", "10.0.0.0/8"),
        ("vpc_cidr", "10.0.0.0/24"),
        ("nat_gateways", 0),
        ("s3_prefix_list_id", "com.amazonaws.us-east-1.s3"),
        ("domain_name", "Signalbox"),
        ("hosted_zone_id", "signalbox.example.com"),
        ("certificate_arn", "arn:aws:acm:eu-west-1:000000000000:certificate/6a2b"),
        ("image_repository", "docker.io/library/signalbox"),
        ("image_repository", "000000000000.dkr.ecr.us-east-1.amazonaws.com/signalbox:latest"),
        ("image_repository", "000000000000.dkr.ecr.eu-west-1.amazonaws.com/signalbox"),
        ("image_digest", "latest"),
        ("image_digest", "sha256:" + "A" * 64),
        ("image_digest", "sha256:" + "0" * 63),
        ("database_engine_version", "16.6"),
        ("database_engine_version", 17.7),
        ("database_min_capacity", 0.7),
        ("database_max_capacity", 0.5),
        ("task_cpu", 300),
        ("task_memory", 512),
        ("serve_tasks", 1),
        ("reconcile_tasks", "many"),
    ],
)
def test_a_wrong_value_is_one_line_with_origin_name_wanted_and_got(key: str, got: object) -> None:
    (line,) = _errors(**{key: got})

    assert line == f"-c: {key}: wanted {Settings.model_fields[key].description}; got {got!r}"


def test_a_maximum_below_the_minimum_is_refused() -> None:
    (line,) = _errors(database_min_capacity="8", database_max_capacity="4")

    assert line.startswith("-c: database_max_capacity: wanted")


def test_an_unknown_setting_is_refused_and_the_nearest_named() -> None:
    assert _errors(image_digets="sha256:0") == ["-c: image_digets: no such setting; wanted image_digest"]


def test_every_problem_of_a_file_is_reported_with_its_path(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    values = yaml.safe_load(LOCAL.read_text())
    del values["domain_name"]
    file.write_text(yaml.safe_dump(values | {"serve_tasks": 1, "encryption": False}))

    lines = _errors(config=str(file))

    assert len(lines) == 3
    assert all(line.startswith(f"{file}: ") for line in lines)
    assert f"{file}: domain_name: wanted {Settings.model_fields['domain_name'].description}; got nothing" in lines


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


def test_no_setting_can_weaken_a_control() -> None:
    weakening = ("encrypt", "ssl", "tls", "backup", "retention", "protect", "public", "rotation", "kms", "log")

    assert not [name for name in Settings.model_fields if any(word in name for word in weakening)]
