"""One guard stands between `signalbox up` and each program that it starts, and never leaves anything behind.

`python guard.py --stop-signal N --grace SECONDS [--unprivileged] -- COMMAND...` runs COMMAND and ends with its exit
status. Invariant: when the guard has ended, COMMAND and everything that COMMAND started have ended.

The supervisor holds the other end of the guard's standard input and never writes: end of file means that the
supervisor is gone, however it went. The guard then does what it does on SIGTERM: the stop signal to COMMAND, SIGKILL
to all of them after the grace. SIGQUIT skips the grace. What COMMAND leaves behind when it ends is killed too: on
Linux the guard is the subreaper, so orphans become its children and cannot hide. A guard that is itself killed takes
COMMAND along (PR_SET_PDEATHSIG).

Standard library only, run as a script with `-I -S`: it must start in milliseconds and imports nothing of ours.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import pwd
import select
import signal
import sys
import time
from pathlib import Path
from types import FrameType

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_CHILD_SUBREAPER, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 36, 47, 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522
ORPHANS_MAY_TAKE = 1.0  # seconds for what COMMAND left behind to end by itself, before SIGKILL


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stop-signal", type=int, required=True)
    parser.add_argument("--grace", type=float, required=True)
    parser.add_argument("--unprivileged", action="store_true")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    signals = _signal_pipe()
    if LINUX:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = _start(options.command, unprivileged=options.unprivileged)
    status = _wait(child, signals, stop_signal=options.stop_signal, grace=options.grace)
    _end_the_rest(child)
    return 128 - status if status < 0 else status


def _wait(child: int, signals: int, *, stop_signal: int, grace: float) -> int:
    """The child's exit code, negative for a signal; asks it to stop when told to, and kills it when it is too slow."""
    supervisor, deadline = sys.stdin.fileno(), None
    watched = [signals, supervisor]
    while True:
        status = _reap(child)
        if status is not None:
            return status
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select(watched, [], [], timeout)
        received = os.read(signals, 64) if signals in ready else b""
        if supervisor in ready and not os.read(supervisor, 64):
            watched = [signals]
            received += bytes([signal.SIGTERM])
        if signal.SIGQUIT in received or (deadline is not None and time.monotonic() >= deadline):
            sys.stderr.write(f"guard: {child} killed: it was told to stop and did not in time\n")
            _kill([child, *_descendants(os.getpid())], signal.SIGKILL)
            deadline = time.monotonic() + 1
        elif deadline is None and {signal.SIGTERM, signal.SIGINT, signal.SIGHUP} & set(received):
            deadline = time.monotonic() + grace
            _kill([child], stop_signal)


def _end_the_rest(child: int) -> None:
    """End what the command left behind: first asked, then killed."""
    deadline = time.monotonic() + ORPHANS_MAY_TAKE
    asked: set[int] = set()
    while left := _descendants(os.getpid()):
        late = time.monotonic() > deadline
        _kill(left if late else [pid for pid in left if pid not in asked], signal.SIGKILL if late else signal.SIGTERM)
        asked.update(left)
        _reap(child)
        time.sleep(0.02)
    if not LINUX:  # no subreaper: the process group is the best there is
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)


def _start(command: list[str], *, unprivileged: bool) -> int:
    guard = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        if unprivileged:
            _drop_root()
        if LINUX:
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
        if os.getppid() == guard:
            os.execvp(command[0], command)  # noqa: S606  # no shell: that is the point
    except OSError as e:
        sys.stderr.write(f"guard: {command[0]}: {e.strerror}\n")
    os._exit(127)


def _drop_root() -> None:
    """Become `nobody`, who may still walk through the folders of root: PostgreSQL refuses to run as root.

    Without CAP_DAC_OVERRIDE the checkout would have to be readable for everybody, up to the root of the disk.
    """
    nobody = pwd.getpwnam("nobody")
    if LINUX:
        _prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
    if LINUX:
        bit = 1 << CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; low then high words
        if ctypes.CDLL(None, use_errno=True).capset(header, sets) != 0:
            raise OSError(ctypes.get_errno(), "capset refused")
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)


def _prctl(option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if ctypes.CDLL(None, use_errno=True).prctl(option, *padded) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) refused")


def _signal_pipe() -> int:
    """A file descriptor that delivers the number of each signal as one byte."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def noted(_number: int, _frame: FrameType | None) -> None:
        """Python writes the number into the wake-up descriptor; nothing else is to be done here."""

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD):
        signal.signal(number, noted)
    signal.set_wakeup_fd(writer)
    return reader


def _reap(child: int) -> int | None:
    """Collect whoever ended; the exit code of `child` when it is among them (negative: the signal)."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                found = os.waitstatus_to_exitcode(status)
    return found


def _descendants(ancestor: int) -> list[int]:
    """All living processes below `ancestor`; [] where there is no /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            state, parent = entry.read_text("latin-1").rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(entry.parent.name)] = int(parent)
    below: list[int] = []
    level = [ancestor]
    while level:
        level = [pid for pid, parent in parents.items() if parent in level]
        below += level
    return below


def _kill(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


if __name__ == "__main__":
    sys.exit(main())
