from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.dataplane import DataPlane, data_plane
from support.stub_control_plane import StubControlPlane, stub_control_plane

_numbers = itertools.count(1)


@pytest.fixture
def action() -> str:
    """A name that no other test uses, as tests of a module share one data plane."""
    return f"action-{next(_numbers)}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StubControlPlane]:
    async with stub_control_plane(f"file://{tmp_path_factory.mktemp('store')}") as stub:
        yield stub


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plane(stub: StubControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DataPlane]:
    """One with a single slot, so that every test shows that it needs no more."""
    async with data_plane(stub, tmp_path_factory.mktemp("plane"), MAX_PROCESSES="1") as plane:
        yield plane


@pytest_asyncio.fixture
async def own_stub(tmp_path: Path) -> AsyncIterator[StubControlPlane]:
    async with stub_control_plane(f"file://{tmp_path}/store") as stub:
        yield stub
