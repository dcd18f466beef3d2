from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Browser, expect

from signalbox.rules.phases import Phase
from support.browser import opened
from support.builders import a_run, actions_of

if TYPE_CHECKING:
    from support.browser import Console

pytestmark = pytest.mark.asyncio(loop_scope="session")

_LONG = "pipelines.a_very_long_name_of_a_task_that_goes_on_and_on_without_any_place_to_break_it_at_all"


@pytest.mark.parametrize("width", [320, 768, 1440])
async def test_no_page_is_wider_than_its_window(console: Console, chromium: Browser, width: int) -> None:
    now = datetime.now(UTC)
    async with console.db.transaction() as tx:
        run = await a_run(tx, "r" * 63, phase=Phase.RUNNING, created_at=now, task=_LONG, labels={_LONG: _LONG})
        parent = "a0"
        for depth in range(9):
            await actions_of(tx, run, [f"deep{depth}" + "x" * 50], parent=parent, created_at=now, task=_LONG)
            parent = f"deep{depth}" + "x" * 50
        await actions_of(tx, run, [f"n{number}" for number in range(60)], group="g" * 90, created_at=now)
    scope = console.runs.removesuffix("/runs")

    async with opened(chromium, width=width) as window:
        for address in (console.runs, console.run(run), f"{console.run(run)}?i={parent}", f"{scope}/tasks"):
            await window.page.goto(address)
            for menu in range(await window.page.locator("details.menu").count()):
                await window.page.locator("details.menu > summary").nth(menu).click()
                assert await window.page.evaluate("document.documentElement.scrollWidth") == width, (address, menu)
            assert await window.page.evaluate("document.documentElement.scrollWidth") == width, address


async def test_pages_can_be_read_and_used_without_scripts(console: Console, chromium: Browser) -> None:
    async with console.db.transaction() as tx:
        run = await a_run(tx, "plain", phase=Phase.RUNNING)
        await actions_of(tx, run, {"leaf": Phase.FAILED})

    async with opened(chromium, scripts=False) as window:
        page = window.page
        await page.goto(console.runs)
        await expect(page.locator("#run-plain time")).to_contain_text("ago")
        await page.get_by_role("link", name="plain").click()
        await expect(page.locator("#head")).to_contain_text("Running")
        assert float(await page.locator("#action-leaf rect").first.get_attribute("width") or 0) > 0
        await page.locator("#action-leaf a").click()
        await expect(page.locator("#detail")).to_contain_text("Attempt 1")
        await page.locator("#abort summary").click()
        await page.get_by_role("button", name="Abort the run").click()
        await expect(page.locator("#head")).to_contain_text("Local Developer")
