"""People who may log in: a Cognito user pool that nobody can sign up to, with a second factor for everybody."""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from signalbox_constructs.findings import accept

REDIRECT = "http://localhost:53593/callback"
"""Where Flyte's SDK and CLI listen for the code: the control plane tells them this address with the client's id.

The one redirect without TLS that Cognito admits is to localhost; the code never leaves the machine, and is worth
nothing without the verifier that only the process which asked for it has (PKCE, RFC 7636; RFC 8252 section 7.3).
"""

SCOPE = "api"


@dataclass(frozen=True, kw_only=True)
class IdentityPoolProps:
    name: str
    domain_name: str
    """Of the control plane: https://DOMAIN is the resource that access tokens are for."""
    domain_prefix: str
    """Of the login pages; unique among all customers of the region."""


class IdentityPool(Construct):
    """The pool, its login pages, the control plane as a resource with one scope, and a public client for SDK and CLI.

    Exposes `pool`, `domain`, `resource_server`, `client`, `issuer`, `client_id` and `scope`. Threat protection is
    Cognito's Plus tier, which is paid for by each user that logs in; this is the Essentials tier.
    """

    def __init__(self, scope: Construct, construct_id: str, props: IdentityPoolProps) -> None:
        super().__init__(scope, construct_id)
        self.pool = cognito.UserPool(
            self,
            "Pool",
            user_pool_name=props.name,
            feature_plan=cognito.FeaturePlan.ESSENTIALS,
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            sign_in_case_sensitive=False,
            standard_attributes=cognito.StandardAttributes(
                email=cognito.StandardAttribute(required=True, mutable=True)
            ),
            auto_verify=cognito.AutoVerifiedAttrs(email=True),
            # a changed address counts once it has been proven
            keep_original=cognito.KeepOriginalAttrs(email=True),
            mfa=cognito.Mfa.REQUIRED,
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            password_policy=cognito.PasswordPolicy(
                min_length=14,
                require_lowercase=True,
                require_uppercase=True,
                require_digits=True,
                require_symbols=True,
                password_history_size=12,
                temp_password_validity=cdk.Duration.days(3),
            ),
            deletion_protection=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        reason = (
            "Threat protection belongs to Cognito's Plus tier, which is paid for by each user that logs in. There is "
            "no self sign-up, and a stolen password does not open an account without its second factor."
        )
        accept(self.pool, "AwsSolutions::AwsSolutions-COG8", reason=reason)
        self.domain = self.pool.add_domain(
            "Domain",
            cognito_domain=cognito.CognitoDomainOptions(domain_prefix=props.domain_prefix),
        )
        self.resource_server = cognito.CfnUserPoolResourceServer(
            self,
            "Api",
            user_pool_id=self.pool.user_pool_id,
            identifier=f"https://{props.domain_name}",
            name="Signalbox",
            scopes=[
                cognito.CfnUserPoolResourceServer.ResourceServerScopeTypeProperty(
                    scope_name=SCOPE, scope_description="What the user's roles allow"
                )
            ],
        )
        self.scope = f"https://{props.domain_name}/{SCOPE}"
        self.client = self._public_client()
        self.issuer = f"https://cognito-idp.{cdk.Stack.of(self).region}.amazonaws.com/{self.pool.user_pool_id}"
        self.client_id = self.client.ref

    def _public_client(self) -> cognito.CfnUserPoolClient:
        """Add the client of SDK and CLI, which can keep no secret: the code flow alone, no passwords past the pages.

        An L1, because the L2 turns "no flow of passwords" into Cognito's default, which has one.
        """
        client = cognito.CfnUserPoolClient(
            self,
            "Client",
            user_pool_id=self.pool.user_pool_id,
            client_name="sdk",
            generate_secret=False,
            allowed_o_auth_flows_user_pool_client=True,
            allowed_o_auth_flows=["code"],
            allowed_o_auth_scopes=["openid", "email", self.scope],
            callback_ur_ls=[REDIRECT],
            supported_identity_providers=["COGNITO"],
            explicit_auth_flows=["ALLOW_REFRESH_TOKEN_AUTH"],
            prevent_user_existence_errors="ENABLED",
            enable_token_revocation=True,
            token_validity_units=cognito.CfnUserPoolClient.TokenValidityUnitsProperty(
                access_token="minutes",  # noqa: S106 - units
                id_token="minutes",  # noqa: S106
                refresh_token="hours",  # noqa: S106
            ),
            access_token_validity=60,
            id_token_validity=60,
            refresh_token_validity=12,
        )
        client.add_resource_dependency(self.resource_server)
        return client
