from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.invariants import violations
from support.stack import SLOTS, Stack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One product for all tests of the stock SDK: they use it as its users would, side by side.

    Its data plane has as many slots on every machine: a test fills them all.
    """
    with running(tmp_path_factory.mktemp("stack"), SIGNALBOX_DATAPLANE_MAX_PROCESSES=str(SLOTS)) as started:
        yield started


@pytest.fixture(autouse=True)
def lawful(stack: Stack) -> Iterator[None]:
    """After every test, the engine's invariants hold."""
    yield
    found = violations(stack.database_url())
    assert found == {}, found
