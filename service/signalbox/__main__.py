"""The command line of the service: `signalbox --help`.

Answers go to standard output (`-o json` for machines), logs and errors to standard error. Exit codes: 0 done, 2 bad
input or settings, 3 not found, 4 denied, 5 conflict, 6 unavailable, 7 failed work.
"""

from __future__ import annotations

import sys

from cyclopts import App

from signalbox import log
from signalbox.errors import SignalboxError
from signalbox.up.failures import EXIT_CODES, described

app = App(name="signalbox", help="The control plane of Flyte 2: directs every workflow, carries none of the data.")
cluster = App(name="cluster", help="Clusters that run the work.")
app.command(cluster)
# By name: each command imports only what it needs, and only when it is the one that runs.
app.command("signalbox.commands:serve", help="Serve the API and the console.")
app.command("signalbox.commands:reconcile", help="Run the reconcilers.")
app.command("signalbox.commands:migrate", help="Bring the database's schema up to this version.")
app.command("signalbox.up.command:up", help="Run the whole product on this machine.")
app.command("signalbox.up.command:reset", help="Forget the state of `signalbox up`.")
cluster.command("signalbox.commands:create_join_token", help="Create a token with which a data plane joins, once.")


def main() -> None:
    """Entry point: errors are one sentence and an exit code, never a traceback."""
    log.configure(json=not sys.stderr.isatty())
    try:
        code = app(sys.argv[1:])
    except SignalboxError as e:
        sys.stderr.write(f"signalbox: {described(e)}\n")
        sys.exit(next((code for kind, code in EXIT_CODES.items() if isinstance(e, kind)), 1))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
