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
queue = App(name="queue", help="Queues: limits, priority, fairness.")
app.command(cluster)
retention = App(name="retention", help="What is kept, and for how long.")
app.command(queue)
app.command(retention)

# By name: each command imports only what it needs, and only when it is the one that runs. The line is for the list; a
# command that is asked for has its docstring.
_COMMANDS = (
    (app, "signalbox.commands:serve", "Serve the API and the console."),
    (app, "signalbox.commands:reconcile", "Run the reconcilers."),
    (app, "signalbox.commands:migrate", "Bring the database's schema up to this version."),
    (app, "signalbox.health_command:health", "Say whether a process of this container is well."),
    (app, "signalbox.up.command:up", "Run the whole product on this machine."),
    (app, "signalbox.up.command:reset", "Forget the state of `signalbox up`."),
    (app, "signalbox.queue_commands:why", "Say why an action does not run now."),
    (queue, "signalbox.queue_commands:configure", "Configure a queue."),
    (queue, "signalbox.queue_commands:show", "List the queues that are configured."),
    (retention, "signalbox.retention_commands:set_policy", "Delete ended runs some days after their end."),
    (retention, "signalbox.retention_commands:unset", "Remove a policy."),
    (retention, "signalbox.retention_commands:show", "List policies and holds."),
    (retention, "signalbox.retention_commands:preview", "Say what the next passes would delete."),
    (retention, "signalbox.retention_commands:hold", "Never delete a run, or anything of a project."),
    (retention, "signalbox.retention_commands:release", "End a hold."),
    (cluster, "signalbox.commands:create_join_token", "Create a token with which a data plane joins, once."),
)
for group, target, line in _COMMANDS:
    asked_for = target.rpartition(":")[2].replace("_", "-") in sys.argv
    group.command(target, help=None if asked_for else line)


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
