"""Bill of materials: the stacks of a Signalbox deployment, in the order in which they stand on each other."""

import os
import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from stacks.data import DataStack
from stacks.edge import EdgeStack
from stacks.network import NetworkStack
from stacks.service import ServiceStack
from stacks.settings import Settings, SettingsError, read_settings


def build(app: cdk.App, settings: Settings) -> None:
    """Put the stacks into `app`, and have cdk-nag check all of them at synthesis."""
    env = cdk.Environment(account=settings.account, region=settings.region)
    network = NetworkStack(app, settings, env)
    data = DataStack(app, settings, env, network=network)
    edge = EdgeStack(app, settings, env, network=network)
    ServiceStack(app, settings, env, network=network, data=data, edge=edge)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def main() -> int:
    app = cdk.App(analytics_reporting=False)
    try:
        settings = read_settings(app.node.get_all_context(), os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    build(app, settings)
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
