"""`signalbox-dataplane`: the command line."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import version

import cyclopts

from signalbox_dataplane import log, settings
from signalbox_dataplane.errors import Exit
from signalbox_dataplane.serve import serve as run

app = cyclopts.App(name="signalbox-dataplane", version=version("signalbox-dataplane"), help=__doc__)


@app.command
def serve() -> None:
    """Run agent and dataproxy until SIGTERM or SIGINT.

    Settings are environment variables SIGNALBOX_DATAPLANE_*: CONTROL_PLANE, STATE_DIR and STORAGE are required; see
    docs/dataplane.md. Prints one JSON line `{"event": "ready", ...}` when both are up. Exit codes: 0 stopped,
    2 bad settings, 4 credential or join token refused, 5 replaced by another agent, 6 port or state directory taken,
    7 failed.
    """
    log.configure()
    try:
        # not uvloop: it leaks descriptors into subprocesses, among them the pipe whose end tells the guardian
        asyncio.run(run(settings.load()))
    except Exit as end:
        sys.stderr.write(f"signalbox-dataplane: {end}\n")
        sys.exit(end.code)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
