"""What actions left in the store: inputs, outputs, reports, code bundles.

Where they are, the control plane tells, for the caller; a URI outside of this cluster's store is refused.
"""

from __future__ import annotations

from datetime import timedelta

from flyteidl2.common.identifier_pb2 import ActionAttemptIdentifier, ActionIdentifier
from flyteidl2.dataproxy.dataproxy_service_pb2 import (
    ARTIFACT_TYPE_CODE_BUNDLE,
    ARTIFACT_TYPE_REPORT,
    ArtifactType,
    CreateDownloadLinkRequest,
    CreateDownloadLinkResponse,
    GetActionDataRequest,
    GetActionDataResponse,
    PreSignedURLs,
)
from flyteidl2.task.common_pb2 import Inputs, Outputs
from flyteidl2.workflow.run_definition_pb2 import RUN_SOURCE_TRACKED, ActionAttempt, ActionDetails

from signalbox_dataplane.control_plane import Directory
from signalbox_dataplane.dataproxy.answers import invalid, life, missing, unimplemented
from signalbox_dataplane.errors import ObjectMissing
from signalbox_dataplane.executor import bundle_uri, inputs_file
from signalbox_dataplane.store import ObjectStore, join

DEFAULT_LIFE = timedelta(hours=1)


class ActionData:
    def __init__(self, store: ObjectStore, directory: Directory) -> None:
        self._store = store
        self._directory = directory

    async def get(self, request: GetActionDataRequest) -> GetActionDataResponse:
        """Inputs and outputs of an action. Outputs that are not there (yet) are empty; inputs must be there."""
        check_action(request.action_id)
        if request.run_source == RUN_SOURCE_TRACKED:
            unimplemented("data of tracked runs: this version keeps none")
        uris = await self._directory.data_uris(request.action_id)
        inputs_uri, outputs_uri = inputs_file(uris.inputs_uri), outputs_file(uris.outputs_uri)
        reply = GetActionDataResponse(inputs_uri=inputs_uri, outputs_uri=outputs_uri)
        if inputs_uri:
            try:
                reply.inputs.CopyFrom(Inputs.FromString(await self._store.get(inputs_uri)))
            except ObjectMissing:
                missing(f"the inputs of {request.action_id.name} are not in the object store: {inputs_uri}")
        if outputs_uri:
            try:
                reply.outputs.CopyFrom(Outputs.FromString(await self._store.get(outputs_uri)))
            except ObjectMissing:
                reply.outputs.SetInParent()
        return reply

    async def download_link(self, request: CreateDownloadLinkRequest) -> CreateDownloadLinkResponse:
        match request.artifact_type:
            case _ if request.artifact_type == ARTIFACT_TYPE_REPORT:
                uri = await self._report(request)
            case _ if request.artifact_type == ARTIFACT_TYPE_CODE_BUNDLE:
                uri = await self._code_bundle(request)
            case other:
                invalid(f"artifact_type: got {ArtifactType.Name(other)}, wanted REPORT or CODE_BUNDLE")
        if not await self._store.exists(uri):
            raise ObjectMissing(uri)
        signed = await self._store.sign_download(uri, expires_in=life(request.expires_in, DEFAULT_LIFE))
        urls = PreSignedURLs(signed_url=[signed.url])
        urls.expires_at.FromDatetime(signed.expires_at)
        return CreateDownloadLinkResponse(pre_signed_urls=urls)

    async def _report(self, request: CreateDownloadLinkRequest) -> str:
        if request.WhichOneof("source") != "action_attempt_id":
            invalid("source: wanted action_attempt_id for a report")
        attempt = attempt_of(await self._details(request.action_attempt_id), request.action_attempt_id.attempt)
        return attempt.outputs.report_uri or join(folder_of(attempt), "report.html")

    async def _code_bundle(self, request: CreateDownloadLinkRequest) -> str:
        match request.WhichOneof("source"):
            case "action_attempt_id":
                spec = (await self._details(request.action_attempt_id)).task
            case "task_id":
                spec = await self._directory.task_spec(request.task_id)
            case _:
                invalid("source: wanted action_attempt_id or task_id for a code bundle")
        return bundle_uri(spec) or missing("the task has no code bundle")

    async def _details(self, identifier: ActionAttemptIdentifier) -> ActionDetails:
        check_action(identifier.action_id)
        return await self._directory.action(identifier.action_id)


def check_action(action_id: ActionIdentifier) -> None:
    """Refuse an identifier that cannot name an action. An empty org is the control plane's default one."""
    for name, value in (
        ("project", action_id.run.project),
        ("domain", action_id.run.domain),
        ("name", action_id.run.name),
    ):
        if not value:
            invalid(f"action_id.run.{name}: not set")
    if not action_id.name:
        invalid("action_id.name: not set")


def attempt_of(details: ActionDetails, number: int) -> ActionAttempt:
    """The attempt of this number, from 1. Raises NOT_FOUND."""
    found = next((attempt for attempt in details.attempts if attempt.attempt == number), None)
    return found or missing(f"attempt {number} of action {details.id.name} is not known")


def folder_of(attempt: ActionAttempt) -> str:
    """Folder of an attempt's outputs. Raises NOT_FOUND when it has none, as before its start."""
    uri = attempt.outputs.output_uri
    if not uri:
        missing(f"attempt {attempt.attempt} has no outputs")
    return uri.rpartition("/")[0] if uri.endswith(".pb") else uri


def outputs_file(uri: str) -> str:
    """URI of the outputs, given that or the folder that holds `outputs.pb`."""
    return uri if not uri or uri.endswith(".pb") else join(uri, "outputs.pb")
