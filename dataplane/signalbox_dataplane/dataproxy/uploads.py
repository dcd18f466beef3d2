"""Uploads of clients: where a file goes, and inputs of runs that go through the dataproxy itself.

Uploads and inputs have their own folders, apart from what runs write, so that no upload can replace a run's outputs.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import timedelta

from flyteidl2.common.run_pb2 import OffloadedInputData
from flyteidl2.dataproxy.dataproxy_service_pb2 import (
    CreateUploadLocationRequest,
    CreateUploadLocationResponse,
    UploadInputsRequest,
    UploadInputsResponse,
)
from flyteidl2.task.common_pb2 import Inputs
from flyteidl2.task.task_definition_pb2 import TaskSpec

from signalbox_dataplane.control_plane import Directory
from signalbox_dataplane.dataproxy.answers import invalid, life, unimplemented
from signalbox_dataplane.store import ObjectStore, is_plain, join

DEFAULT_LIFE = timedelta(minutes=15)
MD5_BYTES = 16
_FNV_OFFSET, _FNV_PRIME, _64_BITS = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF


class Uploads:
    def __init__(self, store: ObjectStore, directory: Directory) -> None:
        self._store = store
        self._directory = directory

    async def create_location(self, request: CreateUploadLocationRequest) -> CreateUploadLocationResponse:
        """A signed URL for one file. Without `filename_root` its folder is the MD5 in base32: same file, same URI."""
        folder = _folder(request.project, request.domain)
        if len(request.content_md5) != MD5_BYTES:
            invalid(f"content_md5: got {len(request.content_md5)} bytes, wanted {MD5_BYTES}")
        if request.content_length < 0:
            invalid(f"content_length: got {request.content_length}, wanted 0 (not known) or more")
        root = request.filename_root.strip("/") or base64.b32encode(request.content_md5).decode().rstrip("=")
        key = "/".join(part for part in (folder, root, request.filename) if part)
        if not is_plain(key):
            invalid(f"filename: got {root}/{request.filename}, wanted a plain relative path")
        uri = join(self._store.prefix, "uploads", key)
        signed = await self._store.sign_upload(
            uri,
            md5=request.content_md5,
            length=request.content_length or None,
            expires_in=life(request.expires_in, DEFAULT_LIFE),
        )
        reply = CreateUploadLocationResponse(signed_url=signed.url, native_url=uri, headers=signed.headers)
        reply.expires_at.FromDatetime(signed.expires_at)
        return reply

    async def upload_inputs(self, request: UploadInputsRequest) -> UploadInputsResponse:
        """Writes the inputs and answers their URI and hash. The same inputs go to the same object."""
        folder = self._inputs_folder(request)
        ignored = await self._ignored(request)
        content = request.inputs.SerializeToString(deterministic=True)
        uri = join(folder, hashlib.sha256(content).hexdigest()[:40], "inputs.pb")
        await self._store.put(uri, content)
        inputs_hash = await asyncio.to_thread(hash_inputs, request.inputs, ignored)
        return UploadInputsResponse(offloaded_input_data=OffloadedInputData(uri=uri, inputs_hash=inputs_hash))

    def _inputs_folder(self, request: UploadInputsRequest) -> str:
        match request.WhichOneof("id"):
            case "run_id":
                folder = _folder(request.run_id.project, request.run_id.domain)
            case "project_id":
                folder = _folder(request.project_id.name, request.project_id.domain)
            case _:
                invalid("id: not set, wanted run_id or project_id")
        base = request.base_dir.rstrip("/")
        if not base:
            return join(self._store.prefix, "inputs", folder)
        if not base.startswith(self._store.prefix + "/"):
            invalid(f"base_dir: got {base}, wanted a folder below {self._store.prefix}/, this cluster's object store")
        return join(base, "inputs", folder)

    async def _ignored(self, request: UploadInputsRequest) -> set[str]:
        """Inputs that the task's cache key leaves out."""
        spec = TaskSpec()
        match request.WhichOneof("task"):
            case "task_spec":
                spec = request.task_spec
            case "task_id":
                spec = await self._directory.task_spec(request.task_id)
            case "trigger_name":
                unimplemented("inputs of triggers: this version fires no triggers")
            case _:
                invalid("task: not set, wanted task_spec or task_id")
        return set(spec.task_template.metadata.cache_ignore_input_vars)


def hash_inputs(inputs: Inputs, ignored: set[str]) -> str:
    """Equal for equal inputs, whatever the ignored ones are: FNV-64a as in the Flyte backend, base64url unpadded."""
    kept = Inputs(literals=[literal for literal in inputs.literals if literal.name not in ignored])
    value = fnv64a(kept.SerializeToString(deterministic=True))
    return base64.urlsafe_b64encode(value.to_bytes(8, "big")).rstrip(b"=").decode()


def fnv64a(content: bytes) -> int:
    """FNV-1a of 64 bits."""
    value = _FNV_OFFSET
    for byte in content:
        value = ((value ^ byte) * _FNV_PRIME) & _64_BITS
    return value


def _folder(project: str, domain: str) -> str:
    for name, value in (("project", project), ("domain", domain)):
        if not is_plain(value) or "/" in value:
            invalid(f"{name}: got {value!r}, wanted a name")
    return f"{project}/{domain}"
