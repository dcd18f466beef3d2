"""IAM roles as the template writes them, with the policies that other resources attach to them."""

from typing import Any, cast  # template values are free JSON

from signalbox_evidence.facts.identity import RolePermissions, RoleTrust
from signalbox_evidence.facts.policy import Statement, statements
from signalbox_evidence.facts.world import Fact, Unknown
from signalbox_evidence.template.keys import statements_of
from signalbox_evidence.template.resources import Resource, Resources

_ROLE = "AWS::IAM::Role"


def trusts(resources: Resources) -> list[RoleTrust]:
    return [
        RoleTrust(role=role.subject, statements=statements_of(role, "AssumeRolePolicyDocument"))
        for role in resources.of(_ROLE)
    ]


def _attached(resources: Resources, role: Resource) -> list[Fact[tuple[Statement, ...]]]:
    """Statements of the policy resources that name the role, or that the role names."""
    named = role.texts("ManagedPolicyArns")
    found: list[Fact[tuple[Statement, ...]]] = []
    for policy in resources.of("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
        roles = (policy.text("RoleName"),) if policy.type == "AWS::IAM::RolePolicy" else policy.texts("Roles")
        if isinstance(roles, Unknown):
            found.append(roles)  # it may be this role
        elif role.id in (roles or ()) or (isinstance(named, tuple) and policy.id in named):
            found.append(statements_of(policy, "PolicyDocument"))
    return found


def _inline(role: Resource) -> list[Fact[tuple[Statement, ...]]]:
    rows = role.get("Policies")
    if isinstance(rows, Unknown):
        return [rows]
    return [statements(row["PolicyDocument"]) for row in cast("list[dict[str, Any]]", rows or [])]


def _statements(resources: Resources, role: Resource) -> Fact[tuple[Statement, ...]]:
    found: tuple[Statement, ...] = ()
    for written in _inline(role) + _attached(resources, role):
        if isinstance(written, Unknown):
            return written
        found += written or ()
    return found


def _aws_managed(resources: Resources, role: Resource) -> Fact[tuple[str, ...]]:
    named = role.texts("ManagedPolicyArns")
    if named is None:
        return ()
    return named if isinstance(named, Unknown) else tuple(arn for arn in named if resources.by_id(arn) is None)


def permissions(resources: Resources) -> list[RolePermissions]:
    return [
        RolePermissions(
            role=role.subject,
            statements=_statements(resources, role),
            aws_managed=_aws_managed(resources, role),
        )
        for role in resources.of(_ROLE)
    ]
