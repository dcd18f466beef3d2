from typing import Any

import pytest

from signalbox_guards.intrinsics import ABSENT, Intrinsics, references
from support.hand_made import Json, assembly, resource, stack

SECTIONS: Json = {
    "Parameters": {
        "Name": {"Type": "String", "Default": "app"},
        "Open": {"Type": "String"},
        "Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/app/vpc"},
        "Elsewhere": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/other"},
    },
    "Conditions": {
        "Yes": {"Fn::Equals": [{"Ref": "Name"}, "app"]},
        "No": {"Fn::Not": [{"Condition": "Yes"}]},
        "Both": {"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]},
        "Either": {"Fn::Or": [{"Condition": "Unknown"}, {"Condition": "Yes"}]},
        "Unknown": {"Fn::Equals": [{"Ref": "Open"}, "x"]},
    },
    "Mappings": {"Sizes": {"small": {"cpu": "256"}}},
}
USER = stack("user", {"Own": resource("AWS::SNS::Topic")}, **SECTIONS)
OWNER = stack(
    "owner",
    {
        "Vpc": resource("AWS::EC2::VPC"),
        "Stored": resource("AWS::SSM::Parameter", {"Name": "/app/vpc", "Value": {"Ref": "Vpc"}}),
    },
    Outputs={"Id": {"Value": {"Ref": "Vpc"}, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}:vpc"}}}},
)
RESOLVER = Intrinsics(assembly(OWNER, USER))
VPC = {"Reference": "owner/Vpc.Ref"}
OWN = {"Reference": "user/Own.Ref"}

CASES: list[tuple[Any, Any]] = [
    ("plain", "plain"),
    ({"Ref": "Name"}, "app"),
    ({"Ref": "Open"}, {"Ref": "Open"}),
    ({"Ref": "Stored"}, VPC),
    ({"Ref": "Elsewhere"}, {"Parameter": "/other"}),
    ("{{resolve:ssm:/app/vpc}}", VPC),
    ("{{resolve:ssm:/other}}", "{{resolve:ssm:/other}}"),
    ({"Ref": "Own"}, OWN),
    ({"Fn::GetAtt": ["Own", "Arn"]}, {"Reference": "user/Own.Arn"}),
    ({"Fn::GetAtt": "Own.Arn"}, {"Reference": "user/Own.Arn"}),
    ({"Fn::GetAtt": ["Nothing", "Arn"]}, {"Fn::GetAtt": ["Nothing", "Arn"]}),
    ({"Fn::ImportValue": "owner:vpc"}, VPC),
    ({"Fn::ImportValue": "other:vpc"}, {"Fn::ImportValue": "other:vpc"}),
    ({"Fn::GetStackOutput": {"StackName": "owner", "OutputName": "Id"}}, VPC),
    (
        {"Fn::GetStackOutput": {"StackName": "owner", "OutputName": "Id", "Region": "eu-west-1"}},
        {"Fn::GetStackOutput": {"StackName": "owner", "OutputName": "Id", "Region": "eu-west-1"}},
    ),
    ({"Ref": "AWS::Region"}, "us-east-1"),
    ({"Ref": "AWS::Partition"}, "aws"),
    ({"Ref": "AWS::AccountId"}, "000000000000"),
    ({"Ref": "AWS::StackId"}, {"Ref": "AWS::StackId"}),
    ({"Fn::Join": ["-", ["a", {"Ref": "Name"}, "b"]]}, "a-app-b"),
    ({"Fn::Join": ["", ["arn:", {"Ref": "Own"}, ":x"]]}, {"Text": ["arn:", OWN, ":x"]}),
    ({"Fn::Sub": "arn:${Own}:x"}, {"Text": ["arn:", OWN, ":x"]}),
    ({"Fn::Sub": ["${A}/${Own.Arn}/${!B}", {"A": "a"}]}, {"Text": ["a/", {"Reference": "user/Own.Arn"}, "/${B}"]}),
    ({"Fn::Select": ["1", ["a", "b"]]}, "b"),
    ({"Fn::Select": [0, {"Fn::GetAZs": ""}]}, {"Fn::Select": [0, {"Fn::GetAZs": ""}]}),
    ({"Fn::Split": ["/", "a/b"]}, ["a", "b"]),
    ({"Fn::FindInMap": ["Sizes", "small", "cpu"]}, "256"),
    ({"Fn::FindInMap": ["Sizes", "large", "cpu"]}, {"Fn::FindInMap": ["Sizes", "large", "cpu"]}),
    ({"Fn::If": ["Yes", "a", "b"]}, "a"),
    ({"Fn::If": ["No", "a", "b"]}, "b"),
    ({"Fn::If": ["Both", "a", "b"]}, "b"),
    ({"Fn::If": ["Either", "a", "b"]}, "a"),
    ({"Fn::If": ["Unknown", "a", {"Ref": "AWS::NoValue"}]}, {"Fn::If": ["Unknown", "a", {"Ref": "AWS::NoValue"}]}),
    ({"a": {"Ref": "AWS::NoValue"}, "b": [1, {"Ref": "AWS::NoValue"}]}, {"b": [1]}),
    ({"Fn::GetAZs": {"Ref": "AWS::Region"}}, {"Fn::GetAZs": "us-east-1"}),
]


@pytest.mark.parametrize(("value", "wanted"), CASES)
def test_a_value_resolves_as_far_as_it_can_be_told(value: Any, wanted: Any) -> None:
    assert RESOLVER.resolve(USER, value) == wanted


def test_parameters_and_exports_of_another_region_are_not_ours() -> None:
    far = stack("far", {}, region="eu-west-1", **SECTIONS)
    resolver = Intrinsics(assembly(OWNER, far))

    assert resolver.resolve(far, {"Ref": "Stored"}) == {"Parameter": "/app/vpc"}
    assert resolver.resolve(far, {"Fn::ImportValue": "owner:vpc"}) == {"Fn::ImportValue": "owner:vpc"}


def test_no_value_is_absent() -> None:
    assert RESOLVER.resolve(USER, {"Ref": "AWS::NoValue"}) is ABSENT


def test_references_are_found_wherever_they_are() -> None:
    value = RESOLVER.resolve(USER, {"a": [{"Fn::Sub": "x${Own}"}], "b": {"Fn::ImportValue": "owner:vpc"}})

    assert sorted(references(value)) == ["owner/Vpc", "user/Own"]
