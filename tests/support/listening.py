"""On which addresses a process and all that it started listen, from /proc."""

from pathlib import Path

_LISTEN = "0A"


def listening_addresses(pid: int) -> set[str]:
    """Return the local addresses on which `pid` and its descendants listen; IPv6 ones as the kernel writes them."""
    found: set[str] = set()
    for member in [pid, *descendants(pid)]:
        links = (str(link.readlink()) for link in Path(f"/proc/{member}/fd").iterdir())
        sockets = {link[8:-1] for link in links if link.startswith("socket:[")}
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{member}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and fields[9] in sockets:
                    found.add(_address(fields[1].split(":")[0]))
    return found


def descendants(pid: int) -> list[int]:
    """Return the processes below `pid`, parents first."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(below for child in children for below in descendants(child))]


def _address(text: str) -> str:
    return ".".join(str(byte) for byte in bytes.fromhex(text)[::-1]) if len(text) == 8 else text
