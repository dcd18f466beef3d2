"""Small programs that stand where the real ones would, so that tests of the supervisor can make them misbehave.

`install(folder)` writes `signalbox`, `signalbox-dataplane`, `signalbox-emulator`, `signalbox-evidence`, `node`, `cdk`
and the SDK's `flyte` and `python`. What they do wrong is decided by files in their working folder: `crash-serve` makes
`serve` end at once, `stubborn-dataplane` makes the data plane deaf to SIGTERM, and so on. The database is real.
"""

from __future__ import annotations

import sys
from pathlib import Path

SERVICE = """
import http.server, json, os, pathlib, signal, sys, threading, time
pathlib.Path(f"started-{sys.argv[1]}").open("a").write(f"{os.getpid()}\\n")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if pathlib.Path(f"crash-{sys.argv[1]}").exists():
    sys.exit(f"{sys.argv[1]}: crashed on purpose")
if sys.argv[1] == "migrate":
    import psycopg
    with psycopg.connect(os.environ["SIGNALBOX_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS migrated (at timestamptz DEFAULT now())")
        connection.execute("INSERT INTO migrated DEFAULT VALUES")
        print("migrated", connection.execute("SELECT count(*) FROM migrated").fetchone()[0], "times")
elif sys.argv[1] == "cluster":
    print(json.dumps({"cluster": sys.argv[3], "token": "sbx-secret-token", "expires_at": "2999-01-01T00:00:00Z"}))
elif sys.argv[1] == "serve":
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()
        def log_message(self, *args):
            pass
    for name in ("SIGNALBOX_LISTEN", "SIGNALBOX_CONSOLE_LISTEN"):
        if name in os.environ:
            host, _, port = os.environ[name].partition(":")
            server = http.server.ThreadingHTTPServer((host, int(port)), Ready)
            threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        time.sleep(1)
else:
    while True:
        time.sleep(1)
"""

DATAPLANE = """
import json, os, pathlib, signal, subprocess, sys, time
assert pathlib.Path(os.environ["SIGNALBOX_DATAPLANE_JOIN_TOKEN_FILE"]).read_text() == "sbx-secret-token"
if pathlib.Path("stubborn-dataplane").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
task = subprocess.Popen(["sleep", "1000"], start_new_session=True)  # as a task process: no group leads to it
pathlib.Path("task-pid").write_text(str(task.pid))
print(json.dumps({"event": "ready"}), flush=True)
while True:
    time.sleep(1)
"""

EMULATOR = """
import json, pathlib, subprocess, sys, time
if sys.argv[1] == "capabilities":
    print("{}")
    sys.exit(0)
print("stack 1 of 2", file=sys.stderr, flush=True)
if pathlib.Path("crash-deploy").exists():
    sys.exit("deploy: crashed on purpose")
while pathlib.Path("slow-deploy").exists():
    time.sleep(0.1)
sys.exit(subprocess.run(sys.argv[sys.argv.index("--") + 1:]).returncode)
"""

EVIDENCE = """
import json, pathlib, sys
latest = pathlib.Path(sys.argv[sys.argv.index("--output") + 1]) / "latest"
latest.mkdir(parents=True, exist_ok=True)
(latest / "report.html").write_text("<h1>evidence</h1>")
report = pathlib.Path("report.json").read_text()
(latest / "report.json").write_text(report)
if json.loads(report)["counts"]["live"]["not_satisfied"]:
    print("ENC-01: not satisfied", file=sys.stderr)
    sys.exit(7)
"""

FLYTE = """
import sys
print("Outputs\\nActionOutputs(\\x1b[33mo0\\x1b[0m=\\x1b[36m2470\\x1b[0m)" if "io" in sys.argv else "run started")
"""

SDK_PYTHON = """
print("http://localhost/v2/run")
print(2470)
"""


def install(folder: Path, flyte_environment: Path) -> None:
    """Write all of them: commands into `folder`, the SDK's into `flyte_environment`/bin."""
    programs = {
        folder / "signalbox": SERVICE,
        folder / "signalbox-dataplane": DATAPLANE,
        folder / "signalbox-emulator": EMULATOR,
        folder / "signalbox-evidence": EVIDENCE,
        folder / "node": "",
        folder / "cdk": "",
        flyte_environment / "bin" / "flyte": FLYTE,
        flyte_environment / "bin" / "python": SDK_PYTHON,
    }
    for path, text in programs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(0o755)
