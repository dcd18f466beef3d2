"""The emulator as a server: moto's application with our CloudFormation in it, on loopback only.

moto reads its settings from the environment when it is imported: a process sets `MOTO_ENVIRONMENT` before it imports
this module.
"""

import signal
from pathlib import Path
from typing import Any

from moto.cloudformation import urls as cloudformation_urls
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from signalbox_emulator import given, patches
from signalbox_emulator.aws import ACCOUNT, Account
from signalbox_emulator.cloudformation.stacks import Stacks
from signalbox_emulator.cloudformation.wire import bound_to
from signalbox_emulator.state import State, StateError

HOST = "127.0.0.1"


class _QuietHandler(MotoRequestHandler):
    """No line a request: a deployment makes thousands."""

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Log nothing."""


class Emulator:
    """One emulated account behind one port. Stacks recorded in `state_dir` exist again before the port answers.

    `notice` is the sentence that says that the records were discarded, None when they were not.
    """

    def __init__(self, port: int, state_dir: Path | None) -> None:
        patches.apply()
        self._restoring = False
        application: Any = DomainDispatcherApplication(create_backend_app)
        self._account = Account(application)
        self._state = State(state_dir) if state_dir else None
        self._stacks = Stacks(self._account, ACCOUNT, self._save)
        cloudformation_urls.url_paths.clear()
        cloudformation_urls.url_paths["{0}/$"] = bound_to(self._account, self._stacks).dispatch
        if state_dir:
            given.bring(self._account, state_dir)
        self.notice = self._restore()
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

    def _save(self) -> None:
        if self._state and not self._restoring:
            self._state.save(self._stacks)

    def _restore(self) -> str | None:
        """Make the recorded stacks again; return a sentence when that failed and the account starts empty."""
        if self._state is None:
            return None
        self._restoring = True
        try:
            self._state.restore(self._stacks)
        except StateError as error:
            self._state.discard()
            self._stacks.clear()
            self._account.reset()
            return f"the recorded account is discarded, and starts empty: {error}"
        finally:
            self._restoring = False
        return None

    @staticmethod
    def _stop(_number: int, _frame: Any) -> None:
        raise _Stopped


class _Stopped(BaseException):
    """A signal asked the server to end."""
