from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.stack import Stack, running


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A product of its own for each test: what is killed here is nobody else's."""
    with running(tmp_path / "stack") as started:
        yield started
