"""How long the texts may be that callers give: what is a name is refused beyond it, free text is cut and says so.

The request limit alone would let 4 MiB into a row, and out again with every look at it. A TaskSpec is kept once however
many actions share it: it has the limit of a request, and only what is taken out of it is bounded here.
"""

from __future__ import annotations

NAME = 255
"""Characters of what people call things: groups, traces, conditions, environments, versions, labels."""
LABELS = 64
"""Most labels of a run."""
URI = 4096
"""Characters of a URI, of a prefix of some, or of one entry about a log."""
ANSWER = 4096
"""Characters of the text that answers a condition: as many as the API gives the question."""
DEFINITION = 256 * 1024
"""Bytes of a definition that each trace, or each run, has for itself."""
REASON = 1024
"""Bytes of UTF-8 of a reason, a cause or an event, in words."""


def cut(text: str, limit: int) -> str:
    """The text, or its first `limit` bytes of UTF-8 and how much was cut."""
    if len(text) * 4 <= limit:  # no character takes more
        return text
    raw = text.encode()
    if len(raw) <= limit:
        return text
    return f"{raw[:limit].decode(errors='ignore')}... (cut: {len(raw)} bytes, {limit} are kept)"


def problem(text: str, *, longest: int) -> str | None:
    """Why the text cannot be a name or a URI, without the text; None when it can."""
    if len(text) > longest:
        return f"at most {longest} characters, got {len(text)}"
    return "holds a NUL byte" if "\0" in text else None
