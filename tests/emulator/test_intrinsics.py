"""What templates mean before any resource exists: functions, conditions, parameters, order."""

from typing import Any

import pytest

from signalbox_emulator.cloudformation import template as templates
from signalbox_emulator.cloudformation.errors import ValidationError
from signalbox_emulator.cloudformation.intrinsics import Scope, resolve
from signalbox_emulator.cloudformation.order import creation_order, needs
from signalbox_emulator.types.shapes import differences

_CONDITIONS = {
    "Yes": {"Fn::Equals": ["a", {"Ref": "Letter"}]},
    "No": {"Fn::Not": [{"Condition": "Yes"}]},
    "Both": {"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]},
    "Either": {"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]},
}


def _scope() -> Scope:
    return Scope(
        pseudo={"AWS::Region": "us-east-1", "AWS::StackName": "s"},
        parameters={"Letter": "a", "List": ["x", "y"]},
        mappings={"Sizes": {"us-east-1": {"big": 9}}},
        conditions=_CONDITIONS,
        zones=lambda region: [f"{region}a", f"{region}b"],
        ref=lambda logical: f"id-of-{logical}",
        attribute=lambda logical, name: f"{name}-of-{logical}",
        export=lambda name: f"exported-{name}",
    )


@pytest.mark.parametrize(
    ("expression", "meaning"),
    [
        ({"Ref": "Vpc"}, "id-of-Vpc"),
        ({"Ref": "Letter"}, "a"),
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Fn::GetAtt": ["Db", "Endpoint.Address"]}, "Endpoint.Address-of-Db"),
        ({"Fn::GetAtt": "Db.Endpoint.Address"}, "Endpoint.Address-of-Db"),
        ({"Fn::Sub": "${Vpc}/${Db.Arn}/${AWS::Region}/${!kept}"}, "id-of-Vpc/Arn-of-Db/us-east-1/${kept}"),
        ({"Fn::Sub": ["${own}-${Letter}", {"own": {"Ref": "Vpc"}}]}, "id-of-Vpc-a"),
        ({"Fn::Join": ["-", [{"Ref": "Letter"}, "b", 3]]}, "a-b-3"),
        ({"Fn::Join": ["-", {"Ref": "List"}]}, "x-y"),
        ({"Fn::Select": ["1", {"Fn::GetAZs": ""}]}, "us-east-1b"),
        ({"Fn::Split": [",", "a,b"]}, ["a", "b"]),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "big"]}, 9),
        ({"Fn::ImportValue": {"Fn::Sub": "${Letter}:x"}}, "exported-a:x"),
        ({"Fn::Base64": "hello"}, "aGVsbG8="),
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, ["10.0.0.0/24", "10.0.1.0/24"]),
        ({"Fn::If": ["Yes", 1, 2]}, 1),
        ({"Fn::If": ["No", 1, 2]}, 2),
        ({"Fn::If": ["Both", 1, 2]}, 2),
        ({"Fn::If": ["Either", 1, 2]}, 1),
        ({"kept": 1, "gone": {"Ref": "AWS::NoValue"}}, {"kept": 1}),
        ([1, {"Fn::If": ["No", 2, {"Ref": "AWS::NoValue"}]}], [1]),
    ],
)
def test_an_expression_means(expression: Any, meaning: Any) -> None:
    assert resolve(expression, _scope()) == meaning


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ({"Fn::Transform": {"Name": "x"}}, "does not know the function Fn::Transform"),
        ({"Fn::Select": [5, ["a"]]}, "cannot select index 5 of 1"),
        ({"Fn::FindInMap": ["Sizes", "eu-west-1", "big"]}, "Unable to get mapping"),
        ({"Fn::If": ["Missing", 1, 2]}, "unresolved condition dependency Missing"),
    ],
)
def test_an_expression_without_meaning_is_refused(expression: Any, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        resolve(expression, _scope())


def test_what_a_resource_needs_comes_before_it() -> None:
    template = {
        "Resources": {
            "Last": {"Type": "T", "Properties": {"A": {"Fn::Sub": "${Middle.Arn}"}}},
            "Middle": {"Type": "T", "DependsOn": "First"},
            "First": {"Type": "T"},
            "Off": {"Type": "T", "Condition": "Never", "Properties": {"A": {"Ref": "Last"}}},
        }
    }

    assert creation_order(needs(template, lambda _: False)) == ["First", "Middle", "Last"]


def test_a_circle_and_a_dangling_reference_are_refused() -> None:
    circle = {"A": {"Type": "T", "DependsOn": "B"}, "B": {"Type": "T", "Properties": {"X": {"Ref": "A"}}}}

    with pytest.raises(ValidationError, match="Circular dependency"):
        creation_order(needs({"Resources": circle}, lambda _: True))
    with pytest.raises(ValidationError, match=r"dependencies \['Nobody'\] in resource A"):
        needs({"Resources": {"A": {"Type": "T", "Properties": {"X": {"Ref": "Nobody"}}}}}, lambda _: True)
    with pytest.raises(ValidationError, match="in output O"):
        needs({"Resources": {}, "Outputs": {"O": {"Value": {"Ref": "Nobody"}}}}, lambda _: True)


def test_yaml_with_short_forms_means_the_same_as_json() -> None:
    body = """
    Resources:
      A:
        Type: T
        Properties:
          Version: 2012-10-17
          B: !GetAtt X.Y.Z
          C: !Sub ["${a}", {a: !Ref P}]
          D: !If [Q, !Ref AWS::NoValue, no]
    """

    assert templates.parse(body)["Resources"]["A"]["Properties"] == {
        "Version": "2012-10-17",
        "B": {"Fn::GetAtt": ["X", "Y.Z"]},
        "C": {"Fn::Sub": ["${a}", {"a": {"Ref": "P"}}]},
        "D": {"Fn::If": ["Q", {"Ref": "AWS::NoValue"}, False]},
    }


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("{}", "At least one Resources member"),
        ('{"Resources": {}, "Transform": "AWS::Serverless-2016-10-31"}', "does not know the section Transform"),
        ('{"Resources": {"A": {"Type": "T", "CreationPolicy": {}}}}', "resource A has CreationPolicy"),
        ("{", "Template format error"),
    ],
)
def test_a_template_that_is_not_understood_is_refused(body: str, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        templates.parse(body)


@pytest.mark.parametrize(
    ("sent", "read", "lost"),
    [
        ({"A": 1, "B": {"C": True}}, {"a": "1", "b": {"c": "true"}, "d": 5}, []),
        ({"A": 1}, {"A": 2}, ["P.A"]),
        ({"A": {"B": 1}}, {"A": {}}, ["P.A.B"]),
        ([{"Key": "k", "Value": "v"}], {"k": "v"}, []),
        ([1, 2], [2, 1], []),
        ([1, 2], [1, 2, 3], ["P"]),
        ([1, 1], [1, 2], ["P"]),
        ({"Version": "x"}, '{"Version": "x"}', []),
        ({"Version": "x"}, "%7B%22Version%22%3A%20%22y%22%7D", ["P.Version"]),
        (False, None, ["P"]),
        (0.5, 0.5, []),
        ("a", None, ["P"]),
    ],
)
def test_what_reads_back_otherwise_is_named(sent: Any, read: Any, lost: list[str]) -> None:
    assert differences(sent, read, "P") == lost
