"""IdentityService and AuthMetadataService: who the caller is, and how a client would log in.

In development there is nothing to log in to: the endpoints are empty, and the stock SDK, configured as insecure, asks
for none of this. The header's name is never empty: clients use it as it comes.
"""

from __future__ import annotations

from flyteidl2.auth import auth_service_pb2, identity_pb2

from signalbox.api.interceptors import Handlers
from signalbox.op import Op
from signalbox.rules.roles import Permission

_IDENTITY = "flyteidl2.auth.IdentityService"
_METADATA = "flyteidl2.auth.AuthMetadataService"


class Identity:
    def handlers(self) -> Handlers:
        return {
            f"{_IDENTITY}/UserInfo": self.user_info,
            f"{_METADATA}/GetOAuth2Metadata": self.get_oauth2_metadata,
            f"{_METADATA}/GetPublicClientConfig": self.get_public_client_config,
        }

    async def user_info(self, op: Op, request: identity_pb2.UserInfoRequest) -> identity_pb2.UserInfoResponse:
        del request
        op.require(Permission.IDENTITY_READ)
        who = op.who
        return identity_pb2.UserInfoResponse(
            subject=who.subject, name=who.name, preferred_username=who.subject, email=who.email
        )

    async def get_oauth2_metadata(
        self, op: Op, request: auth_service_pb2.GetOAuth2MetadataRequest
    ) -> auth_service_pb2.GetOAuth2MetadataResponse:
        del op, request
        return auth_service_pb2.GetOAuth2MetadataResponse()

    async def get_public_client_config(
        self, op: Op, request: auth_service_pb2.GetPublicClientConfigRequest
    ) -> auth_service_pb2.GetPublicClientConfigResponse:
        del op, request
        return auth_service_pb2.GetPublicClientConfigResponse(authorization_metadata_key="authorization")
