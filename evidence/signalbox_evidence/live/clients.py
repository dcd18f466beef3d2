"""Clients of AWS that can read and nothing else.

No call outside of READS leaves the machine, whoever makes it: the hook sits in the session that every client is made
from. Endpoint, profile and credentials are found as every AWS tool finds them (AWS_ENDPOINT_URL is honoured).
"""

import os
from typing import Any  # a client of a service chosen at run time has no narrower type
from urllib.parse import urlparse

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoRegionError,
    ReadTimeoutError,
)
from botocore.model import OperationModel

from signalbox_evidence.catalogue import Frozen
from signalbox_evidence.errors import BadInput, Denied, Unreachable
from signalbox_evidence.live.reads import READS

_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".c2s.ic.gov", ".sc2s.sgov.gov")
_SERVICES = {name.partition(":")[0] for name in READS}
_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 4},
    connect_timeout=5,
    read_timeout=30,
    user_agent_extra="signalbox-evidence",
)


class NotAllowed(RuntimeError):
    """A call that is not in the allow-list: a fault of this program, never of its surroundings."""


class Identity(Frozen):
    """Who asked, as sts told, and where."""

    account: str
    arn: str
    region: str
    endpoint: str
    is_emulator: bool


def _refuse_others(model: OperationModel, **_: object) -> None:
    name = f"{model.service_model.service_name}:{model.name}"
    if name not in READS:
        raise NotAllowed(f"{name} is not in the allow-list of reads")


class Clients:
    """Clients of one region, one a service. Without a region, the environment's."""

    def __init__(self, region: str | None = None) -> None:
        try:
            self._session = boto3.Session(region_name=region)
        except BotoCoreError as error:
            raise BadInput(f"AWS settings of the environment: {error}") from error
        self._session.events.register("before-call", _refuse_others)
        self._clients: dict[str, Any] = {}

    @property
    def region(self) -> str:
        return self._session.region_name or ""

    def of(self, service: str) -> Any:
        if service not in self._clients:
            session: Any = self._session  # the stubs type clients by literal service names
            self._clients[service] = session.client(service, config=_CONFIG)
        return self._clients[service]

    def identity(self) -> Identity:
        """Who we are. Raises Unreachable, Denied or BadInput: without it nothing can be collected."""
        try:
            client = self.of("sts")
            answer = client.get_caller_identity()
        except (EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError) as error:
            raise Unreachable(f"AWS does not answer: {error}") from error
        except NoRegionError as error:
            raise BadInput("no region: the assembly names none, so set AWS_REGION") from error
        except (ClientError, BotoCoreError) as error:
            raise Denied(f"sts:GetCallerIdentity: {error}") from error
        # one service of an emulator among those of AWS is enough: its answers are no evidence of AWS
        endpoints = [str(self.of(service).meta.endpoint_url) for service in sorted(_SERVICES)]
        strange = [endpoint for endpoint in endpoints if not (urlparse(endpoint).hostname or "").endswith(_AWS_DOMAINS)]
        declared = os.environ.get("SIGNALBOX_EMULATOR") == "1"
        return Identity(
            account=answer["Account"],
            arn=answer["Arn"],
            region=str(client.meta.region_name),
            endpoint=(strange or endpoints)[0],
            is_emulator=declared or bool(strange),
        )
