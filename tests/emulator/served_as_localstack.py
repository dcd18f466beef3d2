"""Run by a test: our emulator on the port of the first argument, with the page that says that LocalStack is well."""

import os
import sys
from collections.abc import Callable
from typing import Any

from signalbox_emulator.aws import MOTO_ENVIRONMENT


def main() -> None:
    os.environ.update(MOTO_ENVIRONMENT)
    from signalbox_emulator.server import Emulator  # noqa: PLC0415 - moto reads the environment when it is imported

    emulator = Emulator(int(sys.argv[1]), None)
    inner: Callable[..., Any] = emulator._server.app

    def with_health(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"] == "/_localstack/health":
            start_response("200 OK", [])
            return [b"{}"]
        return inner(environ, start_response)

    emulator._server.app = with_health
    emulator.serve()


if __name__ == "__main__":
    main()
