from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import expect

from signalbox.ids import RunKey
from signalbox.rules.phases import Phase
from support.builders import SCOPE, a_run, actions_of

if TYPE_CHECKING:
    from support.browser import Console, Window

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _a_waiting_run(console: Console, name: str) -> RunKey:
    async with console.db.transaction() as tx:
        run = await a_run(tx, name, created_at=datetime.now(UTC))
        await actions_of(tx, run, ["child"])
    return run


async def _phases(console: Console, run: RunKey) -> set[str]:
    async with console.db.autocommit() as tx:
        cursor = await tx.execute("SELECT phase FROM action WHERE run = %s", (run.run,))
        return {row[0] for row in await cursor.fetchall()}


async def test_the_button_aborts_the_run_with_a_reason(console: Console, window: Window) -> None:
    run = await _a_waiting_run(console, "unwanted")
    page = window.page
    await page.goto(console.run(run))

    await page.locator("#abort summary").click()
    await page.get_by_label("Why?").fill("wrong <b>dataset</b>")
    await page.get_by_role("button", name="Abort the run").click()

    await expect(page.get_by_role("region", name="Abort of the run")).to_contain_text("wrong <b>dataset</b>")
    await expect(page.get_by_role("region", name="Abort of the run")).to_contain_text("Aborted by developer")
    assert page.url == console.run(run)
    assert await _phases(console, run) == {"aborted"}
    async with console.db.autocommit() as tx:
        cursor = await tx.execute("SELECT principal, resource FROM audit WHERE operation = 'run.abort'")
        assert await cursor.fetchall() == [("user:developer", str(RunKey(*SCOPE, "unwanted")))]


@pytest.mark.parametrize(
    ("case", "headers"),
    [
        ("no token", {"sec-fetch-site": "same-origin"}),
        ("another run's token", {"sec-fetch-site": "same-origin"}),
        ("another site", {"sec-fetch-site": "cross-site"}),
        ("another port of this host", {"sec-fetch-site": "same-site"}),
        ("another origin", {"origin": "http://127.0.0.1:1"}),
        ("no browser", {}),
        ("the right form", {"sec-fetch-site": "same-origin"}),
    ],
)
async def test_only_the_pages_own_form_aborts(console: Console, case: str, headers: dict[str, str]) -> None:
    run = await _a_waiting_run(console, "wanted")
    other = await _a_waiting_run(console, "other")
    async with httpx.AsyncClient() as client:
        key = other if case == "another run's token" else run
        page = await client.get(console.run(key))
        token = page.text.partition('name="token" value="')[2].partition('"')[0]
        assert len(token) == 64
        fields = {"reason": "x"} if case == "no token" else {"reason": "x", "token": token}
        answer = await client.post(f"{console.run(run)}/abort", data=fields, headers=headers)

    if case == "the right form":
        assert (answer.status_code, answer.headers["location"]) == (303, urlsplit(console.run(run)).path)
        assert await _phases(console, run) == {"aborted"}
    else:
        assert answer.status_code == 403
        assert await _phases(console, run) == {Phase.QUEUED}


async def test_a_form_that_is_too_long_is_refused(console: Console) -> None:
    run = await _a_waiting_run(console, "wanted")
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"{console.run(run)}/abort", content=b"x" * 20_000, headers={"sec-fetch-site": "same-origin"}
        )

    assert answer.status_code == 400
    assert await _phases(console, run) == {Phase.QUEUED}
