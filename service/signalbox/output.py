"""What a command answers on standard output: for people, or for machines."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

from cyclopts import Parameter

Output = Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])]


def answer(output: Output, facts: dict[str, Any], text: str) -> None:
    """Print what a command has found."""
    sys.stdout.write((json.dumps(facts) if output == "json" else text) + "\n")
