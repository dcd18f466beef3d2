from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from signalbox.control.hub import run_topic, scope_topic
from signalbox.ids import ROOT_ACTION, ActionKey
from signalbox.rules.phases import Phase
from support.builders import SCOPE, START, a_run, enter

if TYPE_CHECKING:
    from support.browser import Console, Window

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_list_says_phase_task_and_author_of_each_run(console: Console, window: Window) -> None:
    async with console.db.transaction() as tx:
        await a_run(tx, "older", phase=Phase.SUCCEEDED, created_at=START)
        await a_run(tx, "newer", phase=Phase.FAILED, created_at=START + timedelta(hours=1), task="train.fit_model")

    await window.page.goto(console.url)

    rows = window.page.locator("#rows tr")
    await expect(rows).to_have_count(2)
    await expect(rows.nth(0)).to_contain_text("newer")
    for said in ("Failed", "fit_model", "developer", "2026-11-23 13:00:00 UTC"):
        await expect(rows.nth(0)).to_contain_text(said)
    await expect(rows.nth(1)).to_contain_text("Succeeded")
    assert window.page.url == console.runs


async def test_a_new_run_appears_and_its_phase_changes_without_a_reload(console: Console, window: Window) -> None:
    await window.page.goto(console.runs)
    await expect(window.page.get_by_text("No runs yet")).to_be_visible()
    await expect(window.page.locator("#pulse")).to_have_text("Live")
    loads = len([url for url in window.requests if url == console.runs])

    async with console.db.transaction() as tx:
        key = await a_run(tx, "fresh", created_at=datetime.now(UTC))
    console.hub.publish([scope_topic(SCOPE)])

    row = window.page.locator("#run-fresh")
    await expect(row).to_contain_text("Queued")
    await expect(window.page.get_by_text("No runs yet")).to_be_hidden()

    async with console.db.transaction() as tx:
        await enter(tx, ActionKey(*key, ROOT_ACTION), Phase.RUNNING, at=datetime.now(UTC))
    console.hub.publish([run_topic(key)])

    await expect(row).to_contain_text("Running")
    first = await row.locator("[data-since]").inner_text()
    await expect(row.locator("[data-since]")).not_to_have_text(first)  # its clock goes on
    assert len([url for url in window.requests if url == console.runs]) == loads


async def test_phase_name_and_task_narrow_the_list_and_are_in_the_address(console: Console, window: Window) -> None:
    async with console.db.transaction() as tx:
        await a_run(tx, "alpha", phase=Phase.SUCCEEDED)
        await a_run(tx, "beta", phase=Phase.FAILED)
        await a_run(tx, "alphabet", phase=Phase.FAILED, task="main.other")
    page = window.page
    await page.goto(console.runs)

    await page.get_by_role("navigation", name="Filter by phase").get_by_role("link", name="Failed").click()
    await expect(page.locator("#rows tr")).to_have_count(2)
    await page.get_by_role("searchbox", name="Name of the run contains").fill("PHA")
    await page.keyboard.press("Enter")

    await expect(page.locator("#rows tr")).to_have_count(1)
    await expect(page.locator("#rows tr")).to_contain_text("alphabet")
    assert page.url == f"{console.runs}?phase=failed&q=PHA&task="
    await page.goto(f"{console.runs}?task=greet")
    await expect(page.locator("#rows tr")).to_have_count(2)
    await page.goto(f"{console.runs}?q=.%2A")  # a text, and no pattern
    await expect(page.get_by_text("No run matches")).to_be_visible()


async def test_pages_lead_to_older_runs_and_back_and_miss_none(console: Console, window: Window) -> None:
    async with console.db.transaction() as tx:
        for number in range(120):
            await a_run(tx, f"r{number:03}", created_at=START + timedelta(minutes=number // 3))
    page = window.page
    await page.goto(console.runs)

    seen: list[str] = []
    while True:
        seen += await page.locator("#rows th").all_inner_texts()
        if not await page.get_by_role("link", name="Older").count():
            break
        await page.get_by_role("link", name="Older").click()
    await page.get_by_role("link", name="Newer").click()
    await page.get_by_role("link", name="Newer").click()

    assert seen == [f"r{number:03}" for number in range(119, -1, -1)]
    assert (await page.locator("#rows th").all_inner_texts())[0] == "r119"
    assert not await page.get_by_role("link", name="Newer").count()


@pytest.mark.parametrize("query", ["phase=lost", "after=yesterday", "after=2026-01-01,r1", "q=%00", "before=x%27--,r"])
async def test_an_address_that_cannot_be_right_says_what_is_wrong(console: Console, window: Window, query: str) -> None:
    response = await window.page.request.get(f"{console.runs}?{query}")

    assert response.status == 400
    assert query.partition("=")[0] + ":" in await response.text()
