"""The emulator as a server: moto's application with our CloudFormation in it, on loopback only.

moto reads its settings from the environment when it is imported: a process sets `MOTO_ENVIRONMENT` before it imports
this module.
"""

import gc
import os
import signal
import sys
from pathlib import Path
from threading import Thread
from typing import Any

from moto.cloudformation import urls as cloudformation_urls
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from signalbox_emulator import additions, given, patches
from signalbox_emulator.aws import ACCOUNT, Account
from signalbox_emulator.cloudformation.stacks import Stacks
from signalbox_emulator.cloudformation.wire import bound_to
from signalbox_emulator.failures import Unavailable
from signalbox_emulator.state import State, StateError, create

HOST = "127.0.0.1"


class _QuietHandler(MotoRequestHandler):
    """No line a request: a deployment makes thousands."""

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Log nothing."""


class Emulator:
    """One emulated account behind one port.

    `notice` is the sentence that says that the records in `state_dir` cannot be read and were discarded, None when they
    were not. `restore` makes the recorded stacks again; a request to CloudFormation waits for those that it is about.
    """

    def __init__(self, port: int, state_dir: Path | None) -> None:
        self._restoring = False
        application: Any = DomainDispatcherApplication(create_backend_app)
        self._account = Account(application)
        patches.apply(self._account.models)
        additions.apply()
        self._state = State(state_dir) if state_dir else None
        self._stacks = Stacks(self._account, ACCOUNT, self._save)
        cloudformation_urls.url_paths.clear()
        cloudformation_urls.url_paths["{0}/$"] = bound_to(self._account, self._stacks).dispatch
        if state_dir:
            given.bring(self._account, state_dir)
        self.notice, self._records = self._read()
        self._stacks.expect((record["region"], record["name"]) for record in self._records)
        self._server: BaseWSGIServer = make_server(
            HOST, port, application, threaded=True, request_handler=_QuietHandler
        )

    @property
    def endpoint(self) -> str:
        """The URL for AWS_ENDPOINT_URL. By name: moto takes the first label of a dotted host for a bucket."""
        return f"http://localhost:{self._server.server_port}"

    def serve(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        try:
            self._server.serve_forever()
        except _Stopped:
            pass
        finally:
            self._server.server_close()

    def restore(self) -> None:
        """Make the recorded stacks again; Unavailable, with the records discarded, when one cannot be made."""
        self._restoring = True
        try:
            for record in self._records:
                with self._stacks.lock:
                    create(self._stacks, record)
                    self._stacks.came(record["region"], record["name"])
        except StateError as error:
            if self._state:
                self._state.discard()
            raise Unavailable(f"the recorded account is discarded, and the next start is empty: {error}") from error
        finally:
            self._restoring = False
            gc.freeze()
            gc.enable()

    def restore_meanwhile(self) -> None:
        """Do it while requests are served; when it fails, say why on standard error and stop serving."""

        def work() -> None:
            try:
                self.restore()
            except Unavailable as error:
                sys.stderr.write(f"{error}\n")
                os.kill(os.getpid(), signal.SIGTERM)

        Thread(target=work, daemon=True).start()

    def _save(self) -> None:
        if self._state and not self._restoring:
            self._state.save(self._stacks)

    def _read(self) -> tuple[str | None, list[dict[str, Any]]]:
        """Return the records, or the sentence that says why the account starts empty."""
        if self._state is None:
            return None, []
        try:
            return None, self._state.read()
        except StateError as error:
            self._state.discard()
            return f"the recorded account is discarded, and starts empty: {error}", []

    @staticmethod
    def _stop(_number: int, _frame: Any) -> None:
        raise _Stopped


class _Stopped(BaseException):
    """A signal asked the server to end."""
