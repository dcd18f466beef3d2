"""IAM roles of the stacks as IAM describes them, with whatever was attached to them since."""

from signalbox_evidence.facts.identity import RolePermissions, RoleTrust
from signalbox_evidence.facts.policy import Statement, statements
from signalbox_evidence.facts.world import Subject
from signalbox_evidence.live.deployment import Deployment

_ROLE = "AWS::IAM::Role"


def trusts(deployment: Deployment) -> list[RoleTrust]:
    found: list[RoleTrust] = []
    for name in deployment.ids(_ROLE):
        for page in deployment.probe.read("iam:GetRole", RoleName=name):
            role = page["Role"]
            subject = Subject(type=_ROLE, id=name, arn=role["Arn"])
            found.append(RoleTrust(role=subject, statements=statements(role["AssumeRolePolicyDocument"])))
    return found


def _inline(deployment: Deployment, role: str) -> tuple[Statement, ...]:
    probe = deployment.probe
    names = [name for page in probe.read("iam:ListRolePolicies", RoleName=role) for name in page["PolicyNames"]]
    return tuple(
        statement
        for name in sorted(names)
        for page in probe.read("iam:GetRolePolicy", RoleName=role, PolicyName=name)
        for statement in statements(page["PolicyDocument"])
    )


def _managed(deployment: Deployment, arn: str) -> tuple[Statement, ...]:
    probe = deployment.probe
    versions = [page["Policy"]["DefaultVersionId"] for page in probe.read("iam:GetPolicy", PolicyArn=arn)]
    return tuple(
        statement
        for version in versions
        for page in probe.read("iam:GetPolicyVersion", PolicyArn=arn, VersionId=version)
        for statement in statements(page["PolicyVersion"]["Document"])
    )


def permissions(deployment: Deployment) -> list[RolePermissions]:
    found: list[RolePermissions] = []
    for name in deployment.ids(_ROLE):
        rows = deployment.probe.rows("iam:ListAttachedRolePolicies", "AttachedPolicies", RoleName=name)
        arns = sorted(row["PolicyArn"] for row in rows)
        own = [arn for arn in arns if ":aws:policy/" not in arn]
        written = _inline(deployment, name)
        for arn in own:
            written += _managed(deployment, arn)
        found.append(
            RolePermissions(
                role=Subject(type=_ROLE, id=name),
                statements=written,
                aws_managed=tuple(arn for arn in arns if arn not in own),
            )
        )
    return found
