"""The command `signalbox-emulator`."""

import os
import sys
from pathlib import Path

import cyclopts

from signalbox_emulator.aws import MOTO_ENVIRONMENT

app = cyclopts.App(name="signalbox-emulator", help="moto's server with its missing CloudFormation types.")


@app.command
def serve(*, port: int = 0, state_dir: Path | None = None) -> int:
    """Serve until stopped."""
    os.environ.update(MOTO_ENVIRONMENT)
    from signalbox_emulator.server import Emulator  # noqa: PLC0415 - moto reads the environment when it is imported

    emulator = Emulator(port, state_dir)
    if emulator.notice:
        print(emulator.notice, file=sys.stderr)
    print(emulator.endpoint, flush=True)
    emulator.serve()
    return 0


def main() -> None:
    sys.exit(app())


if __name__ == "__main__":
    main()
