"""The dataproxy through a real client: Connect RPCs, and signed URLs by plain HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from connectrpc.errors import ConnectError
from flyteidl2.common.identifier_pb2 import ActionAttemptIdentifier, ProjectIdentifier
from flyteidl2.common.phase_pb2 import ACTION_PHASE_RUNNING, ACTION_PHASE_SUCCEEDED
from flyteidl2.core.literals_pb2 import Literal, Primitive, Scalar
from flyteidl2.core.tasks_pb2 import Container, TaskMetadata, TaskTemplate
from flyteidl2.dataproxy.dataproxy_service_pb2 import (
    ARTIFACT_TYPE_CODE_BUNDLE,
    ARTIFACT_TYPE_REPORT,
    CreateDownloadLinkRequest,
    CreateDownloadLinkResponse,
    CreateUploadLocationRequest,
    CreateUploadLocationResponse,
    GetActionDataRequest,
    GetActionDataResponse,
    TailLogsRequest,
    TailLogsResponse,
    UploadInputsRequest,
    UploadInputsResponse,
)
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral, OutputReferences, Outputs
from flyteidl2.task.task_definition_pb2 import TaskIdentifier, TaskSpec
from flyteidl2.workflow.run_definition_pb2 import ActionAttempt
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from signalbox_wire.connect import Code, rpc_path
from support.dataplane import DATAPROXY, SUCCEED, DataPlane, shell_task
from support.stub_control_plane import StubControlPlane, action_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
Res = TypeVar("Res", bound=Message)
CONTENT = b"the code bundle"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).digest()
PUT_HEADERS = {"content-md5": base64.b64encode(MD5).decode()}
PROJECT = ProjectIdentifier(organization="", domain="development", name="flytesnacks")


async def call(plane: DataPlane, method: str, request: Message, reply: type[Res], *, token: str | None = None) -> Res:
    path = rpc_path(DATAPROXY.methods_by_name[method])
    return await plane.rpc(token).call(path, request, reply, timeout_ms=5000)


async def refusal(plane: DataPlane, method: str, request: Message) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        await call(plane, method, request, Message)
    return caught.value


def inputs(**values: int) -> Inputs:
    return Inputs(
        literals=[
            NamedLiteral(name=name, value=Literal(scalar=Scalar(primitive=Primitive(integer=value))))
            for name, value in values.items()
        ]
    )


def location(**fields: object) -> CreateUploadLocationRequest:
    given = {"project": "flytesnacks", "domain": "development", "filename": "fast.tar.gz", "content_md5": MD5}
    return CreateUploadLocationRequest(**(given | fields))  # pyright: ignore[reportArgumentType]  # keyword by keyword


async def located(plane: DataPlane, **fields: object) -> CreateUploadLocationResponse:
    return await call(plane, "CreateUploadLocation", location(**fields), CreateUploadLocationResponse)


async def put(url: str, content: bytes = CONTENT, headers: dict[str, str] = PUT_HEADERS) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.put(url, content=content, headers=headers)


def stored(stub: StubControlPlane, uri: str) -> Path:
    assert uri.startswith(stub.storage + "/")
    return Path(uri.removeprefix("file://"))


# ---- uploads


async def test_an_upload_goes_where_its_md5_says(stub: StubControlPlane, plane: DataPlane) -> None:
    reply = await located(plane)

    assert (await put(reply.signed_url)).status_code == 200
    assert stored(stub, reply.native_url).read_bytes() == CONTENT
    folder = base64.b32encode(MD5).decode().rstrip("=")
    assert reply.native_url.endswith(f"/flytesnacks/development/{folder}/fast.tar.gz")
    assert 800 < reply.expires_at.seconds - time.time() <= 901


async def test_a_filename_root_is_the_exact_prefix(plane: DataPlane) -> None:
    reply = await located(plane, filename_root="tracked-runs/local-1/a0")

    assert reply.native_url.endswith("/flytesnacks/development/tracked-runs/local-1/a0/fast.tar.gz")


@pytest.mark.parametrize(
    "fields",
    [
        {"filename": "../../../etc/passwd"},
        {"filename_root": "a/../../b"},
        {"filename": "a//b"},
        {"project": ".."},
        {"domain": ""},
        {"content_md5": b"short"},
        {"content_length": -1},
        {"expires_in": Duration(seconds=-5)},
        {"expires_in": Duration(seconds=10**6)},
    ],
)
async def test_an_improper_upload_location_is_an_invalid_argument(plane: DataPlane, fields: dict[str, object]) -> None:
    assert (await refusal(plane, "CreateUploadLocation", location(**fields))).code == Code.INVALID_ARGUMENT


async def test_a_signed_url_allows_nothing_else(stub: StubControlPlane, plane: DataPlane) -> None:
    signed = await located(plane, filename="only.txt", filename_root="only", content_length=len(CONTENT))
    url = httpx.URL(signed.signed_url)
    other_path = url.copy_with(path=url.path.replace("only.txt", "other.txt"))
    traversal = str(url).replace("/uploads/", "/uploads/..%2F..%2F..%2F")
    longer_life = url.copy_set_param("expires", str(int(url.params["expires"]) + 1))
    other_length = url.copy_remove_param("length")
    other = b"other bytes!!!!"
    other_md5 = base64.b64encode(hashlib.md5(other, usedforsecurity=False).digest()).decode()

    assert (await put(str(other_path))).status_code == 403
    assert (await put(traversal)).status_code in (400, 403)
    assert (await put(str(longer_life))).status_code == 403
    assert (await put(str(other_length))).status_code == 403
    assert (await put(str(url), other, {"content-md5": other_md5})).status_code == 403
    assert (await put(str(url.copy_set_param("md5", other_md5)), other, {"content-md5": other_md5})).status_code == 403
    assert (await put(str(url), other)).status_code == 400
    assert (await put(str(url), CONTENT + b"more")).status_code == 400
    assert (await put(str(url), headers={})).status_code == 403
    assert (await put(str(url.copy_remove_param("signature")))).status_code == 403
    async with httpx.AsyncClient() as client:
        assert (await client.get(str(url))).status_code == 403
        assert (await client.delete(str(url))).status_code == 405
    assert not stored(stub, signed.native_url).exists()
    assert list(stored(stub, signed.native_url).parent.iterdir()) == [], "no half-written file stays"
    assert (await put(str(url))).status_code == 200


async def test_an_expired_url_says_so_in_words_that_the_sdk_knows(plane: DataPlane) -> None:
    signed = await located(plane, filename="late.txt", expires_in=Duration(seconds=1))
    await asyncio.sleep(1.1)

    answer = await put(signed.signed_url)

    assert answer.status_code == 403
    assert "expired" in answer.text


# ---- inputs


async def uploaded(plane: DataPlane, **fields: object) -> UploadInputsResponse:
    request = UploadInputsRequest(project_id=PROJECT, **fields)  # pyright: ignore[reportArgumentType]  # keyword by keyword
    return await call(plane, "UploadInputs", request, UploadInputsResponse)


async def test_inputs_are_written_and_hashed_without_the_ignored_ones(stub: StubControlPlane, plane: DataPlane) -> None:
    spec = TaskSpec(task_template=TaskTemplate(metadata=TaskMetadata(cache_ignore_input_vars=["seed"])))

    first, second, third = [
        (await uploaded(plane, task_spec=spec, inputs=inputs(x=x, seed=seed))).offloaded_input_data
        for x, seed in ((1, 1), (1, 2), (2, 1))
    ]

    assert first.uri != second.uri, "what is ignored for the hash is not lost"
    assert Inputs.FromString(stored(stub, second.uri).read_bytes()) == inputs(x=1, seed=2)
    assert first.uri.endswith("/inputs.pb")
    assert first.inputs_hash == second.inputs_hash != third.inputs_hash


async def test_the_task_of_an_id_is_asked_of_the_control_plane_as_the_caller(
    stub: StubControlPlane, plane: DataPlane
) -> None:
    stub.tasks["known"] = TaskSpec(task_template=TaskTemplate(metadata=TaskMetadata(cache_ignore_input_vars=["seed"])))
    request = UploadInputsRequest(project_id=PROJECT, task_id=TaskIdentifier(name="known"), inputs=inputs(seed=1))

    reply = await call(plane, "UploadInputs", request, UploadInputsResponse, token="alice")

    nothing = await uploaded(plane, task_spec=TaskSpec(), inputs=Inputs())
    assert reply.offloaded_input_data.inputs_hash == nothing.offloaded_input_data.inputs_hash
    assert stub.callers[-1] == "Bearer alice", "the cluster's own credential must not widen what a caller may see"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (UploadInputsRequest(task_spec=TaskSpec()), Code.INVALID_ARGUMENT),
        (UploadInputsRequest(project_id=PROJECT), Code.INVALID_ARGUMENT),
        (UploadInputsRequest(project_id=PROJECT, task_id=TaskIdentifier(name="unknown")), Code.NOT_FOUND),
        (UploadInputsRequest(project_id=PROJECT, task_spec=TaskSpec(), base_dir="s3://other/b"), Code.INVALID_ARGUMENT),
    ],
)
async def test_improper_inputs_are_refused_with_a_type(
    plane: DataPlane, request_: UploadInputsRequest, code: Code
) -> None:
    assert (await refusal(plane, "UploadInputs", request_)).code == code


# ---- data of actions


def known(stub: StubControlPlane, action: str) -> Path:
    """An action that the control plane knows, and its folder in the store."""
    folder = Path(stub.storage.removeprefix("file://")) / "runs/r1" / action
    (folder / "1").mkdir(parents=True)
    references = OutputReferences(output_uri=f"{stub.storage}/runs/r1/{action}/1/outputs.pb")
    stub.attempts[action] = [ActionAttempt(attempt=1, phase=ACTION_PHASE_SUCCEEDED, outputs=references)]
    return folder


async def test_data_of_an_action_comes_from_the_store(stub: StubControlPlane, plane: DataPlane, action: str) -> None:
    folder = known(stub, action)
    (folder / "inputs.pb").write_bytes(inputs(a=1).SerializeToString())
    request = GetActionDataRequest(action_id=action_id(action))

    before = await call(plane, "GetActionData", request, GetActionDataResponse)
    outputs = Outputs(literals=inputs(o=2).literals)
    (folder / "1/outputs.pb").write_bytes(outputs.SerializeToString())
    after = await call(plane, "GetActionData", request, GetActionDataResponse)

    assert (before.inputs, before.outputs) == (inputs(a=1), Outputs())
    assert after.outputs == outputs
    assert after.outputs_uri == f"{stub.storage}/runs/r1/{action}/1/outputs.pb"


async def test_missing_or_damaged_data_has_a_type(stub: StubControlPlane, plane: DataPlane, action: str) -> None:
    folder = known(stub, action)
    request = GetActionDataRequest(action_id=action_id(action))

    missing = await refusal(plane, "GetActionData", request)
    (folder / "inputs.pb").write_bytes(b"\xff\xff\xff")
    damaged = await refusal(plane, "GetActionData", request)
    unknown = await refusal(plane, "GetActionData", GetActionDataRequest(action_id=action_id("nobody")))

    assert missing.code == Code.NOT_FOUND
    assert "inputs" in missing.message
    assert damaged.code == Code.DATA_LOSS
    assert unknown.code == Code.NOT_FOUND
    assert (await refusal(plane, "GetActionData", GetActionDataRequest())).code == Code.INVALID_ARGUMENT


async def test_a_report_is_downloaded_by_a_signed_url_in_a_sandbox(
    stub: StubControlPlane, plane: DataPlane, action: str
) -> None:
    folder = known(stub, action)
    source = ActionAttemptIdentifier(action_id=action_id(action), attempt=1)
    request = CreateDownloadLinkRequest(artifact_type=ARTIFACT_TYPE_REPORT, action_attempt_id=source)

    assert (await refusal(plane, "CreateDownloadLink", request)).code == Code.NOT_FOUND
    (folder / "1/report.html").write_text("<h1>report</h1>")
    link = await call(plane, "CreateDownloadLink", request, CreateDownloadLinkResponse)

    async with httpx.AsyncClient() as client:
        answer = await client.get(link.pre_signed_urls.signed_url[0])
    assert answer.text == "<h1>report</h1>"
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == "sandbox allow-scripts"


async def test_a_code_bundle_is_found_through_its_task(stub: StubControlPlane, plane: DataPlane) -> None:
    upload = await located(plane, filename="bundle.tar.gz")
    await put(upload.signed_url)
    container = Container(args=["a0", "--tgz", upload.native_url])
    stub.tasks["bundled"] = TaskSpec(task_template=TaskTemplate(container=container))
    request = CreateDownloadLinkRequest(artifact_type=ARTIFACT_TYPE_CODE_BUNDLE, task_id=TaskIdentifier(name="bundled"))

    link = await call(plane, "CreateDownloadLink", request, CreateDownloadLinkResponse)

    async with httpx.AsyncClient() as client:
        assert (await client.get(link.pre_signed_urls.signed_url[0])).content == CONTENT


async def test_a_uri_outside_of_the_store_is_not_read(stub: StubControlPlane, plane: DataPlane, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    container = Container(args=["a0", "--tgz", f"file://{secret}"])
    stub.tasks["outside"] = TaskSpec(task_template=TaskTemplate(container=container))
    request = CreateDownloadLinkRequest(artifact_type=ARTIFACT_TYPE_CODE_BUNDLE, task_id=TaskIdentifier(name="outside"))

    assert (await refusal(plane, "CreateDownloadLink", request)).code == Code.INVALID_ARGUMENT


# ---- logs


def tail(plane: DataPlane, action: str, attempt: int = 1) -> AsyncIterator[TailLogsResponse]:
    path = rpc_path(DATAPROXY.methods_by_name["TailLogs"])
    request = TailLogsRequest(action_id=action_id(action), attempt=attempt)
    return plane.rpc().stream(path, request, TailLogsResponse)


def messages(reply: TailLogsResponse) -> list[str]:
    return [line.message for logs in reply.logs for line in logs.lines]


async def test_a_log_is_followed_while_it_grows_and_ends_with_the_attempt(
    stub: StubControlPlane, plane: DataPlane, action: str, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    stub.grant(
        action, shell_task(f'echo one; while [ ! -e "$1" ]; do sleep 0.05; done; printf two; {SUCCEED}', str(go))
    )
    await stub.until(lambda: stub.phases(action) == [ACTION_PHASE_RUNNING])

    seen: list[str] = []
    async with asyncio.timeout(10):
        async for reply in tail(plane, action):
            seen += messages(reply)
            if seen:
                go.touch()
    await stub.ended(action)
    again = [message async for reply in tail(plane, action) for message in messages(reply)]

    assert seen == again == ["one", "two"]


async def test_log_lines_have_the_time_of_their_printing(stub: StubControlPlane, plane: DataPlane, action: str) -> None:
    stub.grant(action, shell_task(f"echo one; sleep 0.5; echo two; {SUCCEED}"))
    await stub.ended(action)

    lines = [line async for reply in tail(plane, action) for logs in reply.logs for line in logs.lines]

    times = [line.timestamp.ToDatetime() for line in lines]
    assert [later - earlier >= timedelta(seconds=0.4) for earlier, later in itertools.pairwise(times)] == [True]


async def test_a_long_log_comes_whole_and_in_order(stub: StubControlPlane, plane: DataPlane, action: str) -> None:
    stub.grant(action, shell_task(f"seq 1 60000; {SUCCEED}"))
    await stub.ended(action)

    seen = [message async for reply in tail(plane, action) for message in messages(reply)]

    assert seen == [str(number) for number in range(1, 60001)]


async def test_an_attempt_without_a_log_is_not_found(stub: StubControlPlane, plane: DataPlane, action: str) -> None:
    known(stub, action)
    for name, attempt in ((action, 1), (action, 2), ("nobody", 1)):
        with pytest.raises(ConnectError) as caught:
            await anext(aiter(tail(plane, name, attempt)))
        assert caught.value.code == Code.NOT_FOUND


# ---- the rest


@pytest.mark.parametrize("service", ["flyteidl2.secret.SecretService", "flyteidl2.imagebuilder.ImageService", "x.Y"])
async def test_what_is_not_served_says_so_in_the_language_of_connect(plane: DataPlane, service: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{plane.endpoint}/{service}/Get", content=b"")

    assert answer.json()["code"] == "unimplemented"
    assert answer.json()["message"].startswith(f"{service}: ")


async def test_json_is_spoken_too(plane: DataPlane) -> None:
    path = rpc_path(DATAPROXY.methods_by_name["CreateUploadLocation"])
    async with httpx.AsyncClient() as client:
        answer = await client.post(plane.endpoint + path, json={"project": "p", "domain": "d", "contentMd5": ""})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")


async def test_another_hosts_name_is_refused(plane: DataPlane) -> None:
    """Else a web site whose name resolves to 127.0.0.1 could read what runs have written."""
    path = rpc_path(DATAPROXY.methods_by_name["GetActionData"])
    async with httpx.AsyncClient() as client:
        for address in (plane.endpoint + path, f"{plane.endpoint}/healthz"):
            assert (await client.post(address, json={}, headers={"host": "evil.example"})).status_code == 421
