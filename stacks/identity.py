"""Identity: who may log in. A Cognito pool of this deployment, or an issuer that is brought along."""

from dataclasses import dataclass

import aws_cdk as cdk
from constructs import Construct

from signalbox_constructs.identity_pool import IdentityPool, IdentityPoolProps
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """What the gateway has to know to verify who is calling."""

    url: str
    client_id: str
    client_secret_arn: str | None = None


class IdentityStack(cdk.Stack):
    """Exposes `pool` and `issuer`. It holds the users, and is kept."""

    def __init__(self, scope: Construct, settings: Settings, env: cdk.Environment) -> None:
        super().__init__(scope, f"{settings.name}-identity", env=env, termination_protection=True)
        self.pool = IdentityPool(
            self,
            "Identity",
            IdentityPoolProps(
                name=settings.name,
                domain_name=settings.edge.domain_name,
                domain_prefix=f"{settings.name}-{settings.account}",
            ),
        )
        self.issuer = Issuer(url=self.pool.issuer, client_id=self.pool.client_id)
        cdk.CfnOutput(self, "Issuer", value=self.issuer.url)
        cdk.CfnOutput(self, "ClientId", value=self.issuer.client_id, description="Of SDK and CLI")
        cdk.CfnOutput(self, "LoginPages", value=self.pool.domain.base_url())


def issuer_of(scope: Construct, settings: Settings, env: cdk.Environment) -> Issuer:
    """Return the issuer that was brought along, or make a stack with one."""
    given = settings.identity.oidc
    if given is None:
        return IdentityStack(scope, settings, env).issuer
    return Issuer(url=given.issuer, client_id=given.client_id, client_secret_arn=given.client_secret_arn)
