"""The dataproxy's ASGI application: DataProxyService, signed objects, and a reason for whatever else is called."""

from __future__ import annotations

from flyteidl2.dataproxy import dataproxy_service_pb2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from signalbox_dataplane.dataproxy.action_data import ActionData
from signalbox_dataplane.dataproxy.answers import server_stream, unary
from signalbox_dataplane.dataproxy.objects import Objects
from signalbox_dataplane.dataproxy.tail import LogTail
from signalbox_dataplane.dataproxy.uploads import Uploads
from signalbox_wire.connect import ServiceApplication
from signalbox_wire.loopback import LoopbackHosts

SERVICE = dataproxy_service_pb2.DESCRIPTOR.services_by_name["DataProxyService"]
LARGEST_MESSAGE = 64 * 1024**2
NOT_SERVED = {
    "flyteidl2.secret.SecretService": "this data plane keeps no secrets: set them in the environment of its tasks",
    "flyteidl2.imagebuilder.ImageService": "this data plane builds no images: use `image.builder: local`",
    "flyteidl2.app.AppLogsService": "this data plane runs no apps",
}


def application(uploads: Uploads, data: ActionData, logs: LogTail, objects: Objects | None) -> Starlette:
    """`objects` is there for the directory store only; S3 serves its own signed URLs."""
    rpc = ServiceApplication(
        SERVICE,
        {
            "CreateUploadLocation": unary(uploads.create_location),
            "UploadInputs": unary(uploads.upload_inputs),
            "GetActionData": unary(data.get),
            "CreateDownloadLink": unary(data.download_link),
            "TailLogs": server_stream(logs.tail),
        },
        read_max_bytes=LARGEST_MESSAGE,
    )
    routes: list[BaseRoute] = [Mount(rpc.path, rpc), Route("/healthz", _healthy)]
    if objects:
        routes.append(Route("/objects/{key:path}", objects.put, methods=["PUT"]))
        routes.append(Route("/objects/{key:path}", objects.get, methods=["GET"]))
    routes.append(Route("/{service}/{method}", _not_served, methods=["POST"]))
    # it does not authenticate its callers yet, and listens on loopback only
    return Starlette(routes=routes, middleware=[Middleware(LoopbackHosts)])


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _not_served(request: Request) -> Response:
    service = request.path_params["service"]
    reason = NOT_SERVED.get(service, "not served by a data plane: ask the control plane")
    return JSONResponse({"code": "unimplemented", "message": f"{service}: {reason}"}, status_code=501)
