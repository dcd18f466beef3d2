"""The one door to AWS: complete and recorded.

Every page of every answer is read; each is kept as a raw record. A denied, throttled or failed call is raised as
ReadFailed (and remembered, so that ten controls do not wait for it ten times); it is never an empty answer.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any  # answers of a service chosen at run time have no narrower type

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from signalbox_evidence.canonical import canonical, digest, utc
from signalbox_evidence.catalogue import Frozen
from signalbox_evidence.errors import ReadFailed
from signalbox_evidence.live.clients import Clients, NotAllowed
from signalbox_evidence.live.reads import READS, keep


class Call(Frozen):
    """One request and the page that answered it. `raw` is the digest of the kept answer; `error` its code instead."""

    region: str = ""
    service: str
    operation: str
    params: dict[str, Any]
    page: int
    request_id: str
    http_status: int
    at: str
    raw: str | None = None
    error: str | None = None


Pages = list[dict[str, Any]]


class Reader:
    """Makes allowed calls; keeps `raw` (digest -> canonical bytes) of every answer."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self.region = clients.region
        self._answers: dict[bytes, tuple[Pages, list[Call]] | ReadFailed] = {}
        self.raw: dict[str, bytes] = {}

    def read(self, name: str, params: dict[str, Any], missing: Collection[str] = ()) -> tuple[Pages, list[Call]]:
        """Every page of the answer to `service:Operation`, kept fields only, and the calls that it took.

        An error code in `missing` means that the thing asked for is not set: no page. Raises ReadFailed.
        """
        key = canonical([name, params])
        if key not in self._answers:
            try:
                self._answers[key] = self._ask(name, params, missing)
            except ReadFailed as error:
                self._answers[key] = error
        answer = self._answers[key]
        if isinstance(answer, ReadFailed):
            raise answer
        return answer

    def _ask(self, name: str, params: dict[str, Any], missing: Collection[str]) -> tuple[Pages, list[Call]]:
        if name not in READS:
            raise NotAllowed(f"{name} is not in the allow-list of reads")
        service, _, operation = name.partition(":")
        method = xform_name(operation)
        pages: Pages = []
        calls: list[Call] = []
        try:
            client = self._clients.of(service)
            if client.can_paginate(method):
                answers = client.get_paginator(method).paginate(**params)
            else:
                answers = iter([getattr(client, method)(**params)])
            for number, answer in enumerate(answers, start=1):
                page, call = self._record(name, params, number, answer)
                pages.append(page)
                calls.append(call)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code not in missing:
                raise ReadFailed(f"{name}: {error}") from error
            calls.append(_call(self.region, name, params, 1, error.response, error=code))
        except BotoCoreError as error:
            raise ReadFailed(f"{name}: {error}") from error
        return pages, calls

    def _record(
        self, name: str, params: dict[str, Any], number: int, answer: dict[str, Any]
    ) -> tuple[dict[str, Any], Call]:
        page: dict[str, Any] = keep(READS[name], answer)
        content = canonical({"operation": name, "params": params, "page": number, "answer": page})
        sha256 = digest(content)
        self.raw[sha256] = content
        return page, _call(self.region, name, params, number, answer, raw=sha256)


def _call(
    region: str,
    name: str,
    params: dict[str, Any],
    page: int,
    answer: Any,
    *,
    raw: str | None = None,
    error: str | None = None,
) -> Call:
    service, _, operation = name.partition(":")
    meta: dict[str, Any] = answer.get("ResponseMetadata", {})
    return Call(
        region=region,
        service=service,
        operation=operation,
        params=params,
        page=page,
        request_id=str(meta.get("RequestId", "")),
        http_status=int(meta.get("HTTPStatusCode", 0)),
        at=utc(datetime.now(UTC)),
        raw=raw,
        error=error,
    )


class Probe:
    """A reader's face for one control: adds to `calls`, which may be shared, the calls that the control rests on."""

    def __init__(self, reader: Reader, calls: list[Call] | None = None) -> None:
        self._reader = reader
        self.calls = [] if calls is None else calls

    @property
    def region(self) -> str:
        return self._reader.region

    def read(self, name: str, missing: Collection[str] = (), **params: Any) -> Pages:
        pages, calls = self._reader.read(name, params, missing)
        self.calls += [call for call in calls if call not in self.calls]
        return pages

    def rows(self, name: str, field: str, missing: Collection[str] = (), **params: Any) -> list[dict[str, Any]]:
        """The items of the list `field` over every page."""
        return [row for page in self.read(name, missing, **params) for row in page.get(field, [])]
