"""IAM: least privilege."""

from collections.abc import Iterator

from signalbox_evidence.catalogue import Params
from signalbox_evidence.facts.compute import Service
from signalbox_evidence.facts.database import Cluster
from signalbox_evidence.facts.identity import RolePermissions, RoleTrust
from signalbox_evidence.facts.policy import ACCOUNT_SYMBOL, Principal, Statement
from signalbox_evidence.facts.world import Fact, World
from signalbox_evidence.finding import Attribute, Finding, expect, is_false, is_true

_ROLE = "AWS::IAM::Role"
_SOURCES = {"aws:sourceaccount", "aws:sourcearn"}


def _sweeping(statement: Statement) -> bool:
    """Every action, or every action of a service."""
    return statement.not_action or any(action == "*" or action.endswith(":*") for action in statement.actions)


def _everywhere(statement: Statement, justified: list[str]) -> list[str]:
    """Actions on every resource that are not in the justified list."""
    if "*" not in statement.resources and not statement.not_resource:
        return []
    return [action for action in statement.actions if action not in justified]


def roles_hold_least_privilege(world: World, params: Params) -> Iterator[Finding]:
    justified, managed = params.words("actions_without_resource"), params.words("aws_managed_policies")
    for role in world.all(RolePermissions):
        statements = role.statements
        sweeping: Fact[list[str]]
        everywhere: Fact[list[str]]
        if isinstance(statements, tuple):
            sweeping = [it.title for it in statements if it.allow and _sweeping(it)]
            everywhere = [action for it in statements if it.allow for action in _everywhere(it, justified)]
        else:
            sweeping = everywhere = statements
        attribute = Attribute(_ROLE, "Policies")
        yield expect(role.role, attribute, sweeping, "no Action '*' or 'service:*', no NotAction", lambda it: not it)
        wanted = f"Resource '*' only for {justified}"
        yield expect(role.role, attribute, everywhere, wanted, lambda it: not it)
        names: Fact[list[str]] = (
            [arn.split(":policy/")[-1] for arn in role.aws_managed]
            if isinstance(role.aws_managed, tuple)
            else role.aws_managed
        )
        wanted = f"of AWS's own policies only {managed}"
        own = Attribute(_ROLE, "ManagedPolicyArns")
        yield expect(role.role, own, names, wanted, lambda it: set(it) <= set(managed))


def _is_exact(principal: Principal, own: set[str]) -> bool:
    if principal.kind == "Service":
        return "*" not in principal.value
    if principal.kind == "Federated":
        return principal.account in own
    return principal.is_within_template or (principal.account in own and "*" not in principal.value)


def trust_is_exact(world: World, params: Params) -> Iterator[Finding]:
    own = {world.account, ACCOUNT_SYMBOL}
    confusable = set(params.words("services_with_source"))
    for trust in world.all(RoleTrust):
        statements = trust.statements
        vague: Fact[list[str]]
        sourceless: Fact[list[str]]
        if isinstance(statements, tuple):
            pairs = [(it, principal) for it in statements if it.allow for principal in it.principals]
            vague = [p.value for it, p in pairs if it.not_principal or not _is_exact(p, own)]
            sourceless = [p.value for it, p in pairs if p.value in confusable and not it.condition_keys & _SOURCES]
        else:
            vague = sourceless = statements
        attribute = Attribute(_ROLE, "AssumeRolePolicyDocument")
        wanted = "only named services and principals of this account"
        yield expect(trust.role, attribute, vague, wanted, lambda it: not it)
        wanted = "aws:SourceAccount or aws:SourceArn for a service that acts for others too"
        yield expect(trust.role, attribute, sourceless, wanted, lambda it: not it)


def no_shell_into_tasks(world: World, _: Params) -> Iterator[Finding]:
    for service in world.all(Service):
        attribute = Attribute("AWS::ECS::Service", "EnableExecuteCommand")
        yield expect(service.subject, attribute, service.exec_enabled, "false", is_false)


def database_logins_are_of_iam(world: World, _: Params) -> Iterator[Finding]:
    for cluster in world.all(Cluster):
        attribute = Attribute("AWS::RDS::DBCluster", "EnableIAMDatabaseAuthentication")
        yield expect(cluster.subject, attribute, cluster.iam_authentication, "true", is_true)


RULES = {
    "IAM-01": roles_hold_least_privilege,
    "IAM-03": trust_is_exact,
    "IAM-07": database_logins_are_of_iam,
    "IAM-08": no_shell_into_tasks,
}
