"""`signalbox up` of the current folder with the stand-ins of stand_ins.py; run as a script by the tests.

`python up_with_stand_ins.py COMMANDS PORT [--once] [--service] [--json]`
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from signalbox.up import command
from signalbox.up.commands import Commands
from signalbox.up.places import Places
from signalbox.up.ports import Ports
from signalbox.up.progress import Progress


def main() -> int:
    folder, port, *options = sys.argv[1:]

    def work(progress: Progress) -> int:
        commands = Commands(
            places=Places(Path.cwd()),
            ports=Ports(int(port)),
            database_url=os.environ.get("SIGNALBOX_DATABASE_URL", ""),
            service=(str(Path(folder) / "signalbox"),),
            folders=(Path(folder),),
        )
        output = "json" if "--json" in options else "text"
        with_deployment = "--service" not in options
        return command.run(commands, progress, with_deployment=with_deployment, once="--once" in options, output=output)

    return command.told(work)


if __name__ == "__main__":
    sys.exit(main())
