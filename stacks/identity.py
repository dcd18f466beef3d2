"""Identity: who may log in. A Cognito pool of this deployment, or nothing where an issuer is brought along."""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from signalbox_constructs.identity_pool import IdentityPool, IdentityPoolProps
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """What the gateway has to know to verify who is calling."""

    url: str
    client_id: str
    client_secret: secretsmanager.ISecret | None = None


class IdentityStack(cdk.Stack):
    """Exposes `pool` (None with an issuer of one's own) and `issuer`."""

    def __init__(self, scope: Construct, settings: Settings, env: cdk.Environment) -> None:
        super().__init__(scope, f"{settings.name}-identity", env=env, termination_protection=True)
        given = settings.identity.oidc
        if given is None:
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
        else:
            self.pool = None
            secret = given.client_secret_arn and secretsmanager.Secret.from_secret_complete_arn(
                self, "ClientSecret", given.client_secret_arn
            )
            self.issuer = Issuer(url=given.issuer, client_id=given.client_id, client_secret=secret or None)
        cdk.CfnOutput(self, "Issuer", value=self.issuer.url)
        cdk.CfnOutput(self, "ClientId", value=self.issuer.client_id)
