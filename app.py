"""Bill of materials: the stacks of a Signalbox deployment, in the order in which they stand on each other."""

import os
import sys
from datetime import date

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks

from stacks.data import DataStack
from stacks.edge import EdgeStack
from stacks.evidence import EvidenceStack
from stacks.identity import issuer_of
from stacks.keys import KeysStack
from stacks.network import NetworkStack
from stacks.observability import ObservabilityStack
from stacks.patching import PatchingStack
from stacks.recovery import RecoveryStack, ReplicaStack
from stacks.register import Controls, Weakened, hold_to_the_catalogue, synthesise, today
from stacks.service import ServiceStack
from stacks.settings import Settings, SettingsError, read_settings


def build(app: cdk.App, settings: Settings, day: date, *, second_opinions: bool = True) -> Controls:
    """Put the stacks into `app` and have the catalogue, and cdk-nag, check them; exceptions are judged as of `day`."""
    env = cdk.Environment(account=settings.account, region=settings.region)
    _bound_roles(app, settings)
    keys = KeysStack(app, settings, env)
    recovery = RecoveryStack(app, settings, settings.recovery) if settings.recovery else None
    network = NetworkStack(app, settings, env, keys=keys)
    data = DataStack(app, settings, env, keys=keys, network=network)
    if recovery:
        data.add_stack_dependency(recovery)
        if settings.recovery and settings.recovery.global_database:
            ReplicaStack(app, settings, recovery=recovery, data=data)
    issuer = issuer_of(app, settings, env)
    PatchingStack(app, settings, env, keys=keys)
    edge = EdgeStack(app, settings, env, keys=keys, network=network)
    service = ServiceStack(app, settings, env, keys=keys, network=network, data=data, issuer=issuer, edge=edge)
    observability = ObservabilityStack(app, settings, env, keys=keys, data=data, edge=edge, service=service)
    EvidenceStack(app, settings, env, keys=keys, network=network, service=service, observability=observability)
    if second_opinions:
        cdk.Validations.of(app).add_plugins(
            AwsSolutionsChecks(app), NIST80053R5Checks(app), HIPAASecurityChecks(app), PCIDSS321Checks(app)
        )
    return hold_to_the_catalogue(app, settings.exceptions, day)


def _bound_roles(app: cdk.App, settings: Settings) -> None:
    if settings.permission_boundary_arn is not None:
        boundary = iam.ManagedPolicy.from_managed_policy_arn(app, "Boundary", settings.permission_boundary_arn)
        iam.PermissionsBoundary.of(app).apply(boundary)


def main() -> int:
    app = cdk.App(analytics_reporting=False)
    try:
        settings = read_settings(app.node.get_all_context(), os.environ)
        synthesise(app, build(app, settings, today()))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except Weakened as error:
        sys.stderr.write(
            f"{error}\nweakened without an exception that holds: strengthen it, or add one under `exceptions:`\n"
        )
        return 7
    return 0


if __name__ == "__main__":
    sys.exit(main())
