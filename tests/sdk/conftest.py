from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.stack import Stack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One product for all tests of the stock SDK: they use it as its users would, side by side."""
    with running(tmp_path_factory.mktemp("stack")) as started:
        yield started
