"""The constructs as somebody else would use them: the example of the package's page is synthesised."""

import re

import aws_cdk as cdk
import pytest
from aws_cdk import assertions

from support.templates import ROOT

PAGE = (ROOT / "constructs" / "README.md").read_text()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> assertions.Template:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, type[cdk.Stack]] = {}
    exec(compile(code, "constructs/README.md", "exec"), names)  # noqa: S102 - our own page
    app = cdk.App(analytics_reporting=False, outdir=str(tmp_path_factory.mktemp("library")))
    return assertions.Template.from_stack(names["Records"](app))  # type: ignore[call-arg] - a stack of its own


def test_the_example_makes_an_encrypted_database_that_one_group_reaches(template: assertions.Template) -> None:
    template.has_resource_properties("AWS::RDS::DBCluster", {"StorageEncrypted": True, "DeletionProtection": True})
    template.resource_count_is("AWS::RDS::DBInstance", 2)
    opened = template.find_resources(
        "AWS::EC2::SecurityGroupIngress", {"Properties": {"FromPort": 5432, "ToPort": 5432, "IpProtocol": "tcp"}}
    )
    assert len(opened) == 1


def test_the_page_lists_every_module() -> None:
    modules = {
        file.stem
        for file in (ROOT / "constructs" / "signalbox_constructs").glob("*.py")
        if not file.stem.startswith("_")
    }

    listed = {word for line in PAGE.splitlines() if line.startswith("| `") for word in re.findall(r"`(\w+)`", line)}
    assert listed == modules
