"""IAM roles and policies."""

from typing import Any

from signalbox_emulator.types.kind import ID, KEYS, VALUE, Call, Kind, Read, TagCalls, Target
from signalbox_emulator.types.shapes import text

JsonObject = dict[str, Any]


def _set_inline_policies(target: Target, policies: list[JsonObject]) -> None:
    iam = target.client("iam")
    names = {policy["PolicyName"] for policy in policies}
    for policy in target.former.get("Policies", []):
        if policy["PolicyName"] not in names:
            iam.delete_role_policy(RoleName=target.id, PolicyName=policy["PolicyName"])
    for policy in policies:
        document = text(policy["PolicyDocument"])
        iam.put_role_policy(RoleName=target.id, PolicyName=policy["PolicyName"], PolicyDocument=document)


def _read_inline_policies(target: Target) -> list[JsonObject]:
    """Return the role's own inline policies: those of AWS::IAM::Policy resources are theirs."""
    iam, names = target.client("iam"), {policy["PolicyName"] for policy in target.properties["Policies"]}
    have = names & set(iam.list_role_policies(RoleName=target.id)["PolicyNames"])
    policies = (iam.get_role_policy(RoleName=target.id, PolicyName=name) for name in sorted(have))
    return [{"PolicyName": p["PolicyName"], "PolicyDocument": p["PolicyDocument"]} for p in policies]


def _set_managed_policies(target: Target, arns: list[str]) -> None:
    iam, former = target.client("iam"), target.former.get("ManagedPolicyArns", [])
    for arn in [arn for arn in former if arn not in arns]:
        iam.detach_role_policy(RoleName=target.id, PolicyArn=arn)
    for arn in [arn for arn in arns if arn not in former]:
        iam.attach_role_policy(RoleName=target.id, PolicyArn=arn)


def _read_managed_policies(target: Target) -> list[str]:
    """Return those of the role's own that are attached: AWS::IAM::ManagedPolicy attaches others."""
    attached = target.client("iam").list_attached_role_policies(RoleName=target.id)["AttachedPolicies"]
    return [policy["PolicyArn"] for policy in attached if policy["PolicyArn"] in target.properties["ManagedPolicyArns"]]


def _delete_role(target: Target, _policy: str) -> None:
    iam = target.client("iam")
    for policy in target.properties.get("Policies", []):
        iam.delete_role_policy(RoleName=target.id, PolicyName=policy["PolicyName"])
    for arn in target.properties.get("ManagedPolicyArns", []):
        iam.detach_role_policy(RoleName=target.id, PolicyArn=arn)
    iam.delete_role(RoleName=target.id)


def _put_policy(target: Target) -> str:
    extra = sorted(set(target.properties) - {"PolicyName", "PolicyDocument", "Roles"})
    if extra:
        raise ValueError(f"AWS::IAM::Policy.{', '.join(extra)} has no home, wanted PolicyName, PolicyDocument, Roles")
    _put_on_roles(target, None)
    return target.properties["PolicyName"]


def _put_on_roles(target: Target, _value: Any) -> None:
    iam, name = target.client("iam"), target.properties["PolicyName"]
    for role in target.former.get("Roles", []):
        if role not in target.properties["Roles"]:
            iam.delete_role_policy(RoleName=role, PolicyName=name)
    for role in target.properties["Roles"]:
        document = text(target.properties["PolicyDocument"])
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)


def _read_policy(target: Target) -> JsonObject:
    """Return the policy as its roles have it; a role with another document, or with none, is not among `Roles`."""
    iam, name, roles = target.client("iam"), target.properties["PolicyName"], target.properties["Roles"]
    have = [role for role in roles if name in iam.list_role_policies(RoleName=role)["PolicyNames"]]
    documents = {role: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for role in have}
    first = next(iter(documents.values()), None)
    same = [role for role, document in documents.items() if document == first]
    return {"PolicyName": name, "PolicyDocument": first, "Roles": same}


def _delete_policy(target: Target, _policy: str) -> None:
    for role in target.properties["Roles"]:
        target.client("iam").delete_role_policy(RoleName=role, PolicyName=target.properties["PolicyName"])


def _attach_to_roles(target: Target, roles: list[str]) -> None:
    iam, former = target.client("iam"), target.former.get("Roles", [])
    for role in [role for role in former if role not in roles]:
        iam.detach_role_policy(RoleName=role, PolicyArn=target.id)
    for role in [role for role in roles if role not in former]:
        iam.attach_role_policy(RoleName=role, PolicyArn=target.id)


def _new_version(target: Target, document: Any) -> None:
    """Make `document` the policy's default version, and delete the former one: IAM keeps five."""
    iam = target.client("iam")
    former = iam.get_policy(PolicyArn=target.id)["Policy"]["DefaultVersionId"]
    iam.create_policy_version(PolicyArn=target.id, PolicyDocument=text(document), SetAsDefault=True)
    iam.delete_policy_version(PolicyArn=target.id, VersionId=former)


def _delete_managed(target: Target, _policy: str) -> None:
    iam = target.client("iam")
    for role in target.properties.get("Roles", []):
        iam.detach_role_policy(RoleName=role, PolicyArn=target.id)
    iam.delete_policy(PolicyArn=target.id)


KINDS = (
    Kind(
        type="AWS::IAM::Role",
        service="iam",
        create="create_role",
        ref="Role.RoleName",
        name="RoleName",
        read=Read("get_role", {"RoleName": ID}, "Role"),
        reads={
            "Policies": _read_inline_policies,
            "ManagedPolicyArns": _read_managed_policies,
            "PermissionsBoundary": "PermissionsBoundary.PermissionsBoundaryArn",
        },
        delete=_delete_role,
        after={"Policies": _set_inline_policies, "ManagedPolicyArns": _set_managed_policies},
        change={
            "PermissionsBoundary": Call(
                "put_role_permissions_boundary", {"RoleName": ID, "PermissionsBoundary": VALUE}
            ),
            "AssumeRolePolicyDocument": Call("update_assume_role_policy", {"RoleName": ID, "PolicyDocument": VALUE}),
        },
        modify=Call("update_role", {"RoleName": ID}),
        replace=frozenset({"RoleName", "Path"}),
        attributes={"Arn": "Arn", "RoleId": "RoleId"},
        tags=TagCalls(
            add=Call("tag_role", {"RoleName": ID, "Tags": VALUE}),
            remove=Call("untag_role", {"RoleName": ID, "TagKeys": KEYS}),
        ),
    ),
    Kind(
        type="AWS::IAM::Policy",
        service="iam",
        create=_put_policy,
        read=_read_policy,
        delete=_delete_policy,
        change={"PolicyDocument": _put_on_roles, "Roles": _put_on_roles},
        replace=frozenset({"PolicyName"}),
    ),
    Kind(
        type="AWS::IAM::ManagedPolicy",
        service="iam",
        create="create_policy",
        ref="Policy.Arn",
        rename={"ManagedPolicyName": "PolicyName"},
        name="ManagedPolicyName",
        name_length=128,
        read=Read("get_policy", {"PolicyArn": ID}, "Policy"),
        reads={
            "PolicyDocument": lambda target: target.client("iam").get_policy_version(
                PolicyArn=target.id,
                VersionId=target.client("iam").get_policy(PolicyArn=target.id)["Policy"]["DefaultVersionId"],
            )["PolicyVersion"]["Document"],
            "Roles": Read("list_entities_for_policy", {"PolicyArn": ID}, "PolicyRoles[].RoleName"),
        },
        delete=_delete_managed,
        after={"Roles": _attach_to_roles},
        change={"PolicyDocument": _new_version},
        replace=frozenset({"ManagedPolicyName", "Description", "Path"}),
        attributes={"PolicyArn": "Arn"},
    ),
    Kind(
        type="AWS::IAM::ServiceLinkedRole",
        service="iam",
        create="create_service_linked_role",
        ref="Role.RoleName",
        read=Read("get_role", {"RoleName": ID}, "Role"),
        reads={"AWSServiceName": "Path"},
        expects={"AWSServiceName": lambda target: f"/aws-service-role/{target.properties['AWSServiceName']}/"},
        delete=Call("delete_service_linked_role", {"RoleName": ID}),
        modify=Call("update_role", {"RoleName": ID}),
        replace=frozenset({"AWSServiceName", "CustomSuffix"}),
        attributes={"RoleName": "RoleName"},
    ),
)
