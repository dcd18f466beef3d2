from __future__ import annotations

import html
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import httpx
import pytest
from flyteidl2.core import execution_pb2
from flyteidl2.workflow import run_definition_pb2
from playwright.async_api import expect

from signalbox.control.hub import run_topic
from signalbox.ids import ROOT_ACTION, ActionKey
from signalbox.rules.phases import Phase
from support.builders import START, a_run, actions_of, enter

if TYPE_CHECKING:
    from support.browser import Console, Window

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_actions_are_shown_as_a_tree_and_their_phases_change_live(console: Console, window: Window) -> None:
    now = datetime.now(UTC)
    async with console.db.transaction() as tx:
        run = await a_run(tx, "live", phase=Phase.RUNNING, created_at=now)
        first, second = await actions_of(tx, run, ["one", "two"], created_at=now, task="main.leaf")
        await actions_of(tx, run, ["three"], parent="one", created_at=now, task="main.twig")
    page = window.page
    await page.goto(console.run(run))
    names = page.locator("#rows .id")
    await expect(names).to_have_text(["a0", "one", "three", "two"])
    await expect(page.locator("#pulse")).to_have_text("Live")

    async with console.db.transaction() as tx:
        await enter(tx, first, Phase.RUNNING, at=now)
        await actions_of(tx, run, ["four"], parent="two", created_at=now)
        await enter(tx, second, Phase.FAILED, at=now)
    console.hub.publish([run_topic(run)])

    await expect(page.locator("#action-one .phase")).to_have_class("phase bare running")
    await expect(page.locator("#action-two .phase")).to_have_class("phase bare failed")
    await expect(names).to_have_text(["a0", "one", "three", "two", "four"])
    await expect(page.locator("#counts")).to_contain_text("Failed 1")
    assert window.requests.count(console.run(run)) == 1


async def test_the_end_of_a_run_ends_its_stream_and_takes_the_abort_button_away(
    console: Console, window: Window
) -> None:
    now = datetime.now(UTC)
    async with console.db.transaction() as tx:
        run = await a_run(tx, "ending", phase=Phase.RUNNING, created_at=now)
    page = window.page
    await page.goto(console.run(run))
    await expect(page.locator("#pulse")).to_have_text("Live")

    error = run_definition_pb2.ErrorInfo(code="ValueError", message="no such shard")
    async with console.db.transaction() as tx:
        await enter(tx, ActionKey(*run, ROOT_ACTION), Phase.FAILED, at=now + timedelta(seconds=3), error=error)
    console.hub.publish([run_topic(run)])

    await expect(page.get_by_role("region", name="Error of the run")).to_contain_text("no such shard")
    await expect(page.locator("#pulse")).to_have_text("")
    await expect(page.locator("#abort")).to_have_count(0)
    await expect(page.locator("#head")).to_contain_text("2.0 s")


async def test_the_link_that_the_sdk_prints_shows_the_action_in_full(console: Console, window: Window) -> None:
    log = run_definition_pb2.ActionEvent(
        log_info=[
            execution_pb2.TaskLog(name="Pod", uri="https://logs.example/pod"),
            execution_pb2.TaskLog(name="Odd", uri="javascript:void(0)"),
        ]
    )
    async with console.db.transaction() as tx:
        run = await a_run(tx, "deep", phase=Phase.RUNNING)
        (leaf,) = await actions_of(tx, run, ["leaf"], group="shards")
        broken = run_definition_pb2.ErrorInfo(code="OOM", message="out of memory")
        await enter(tx, leaf, Phase.RUNNING, at=START + timedelta(seconds=2))
        await enter(tx, leaf, Phase.FAILED, at=START + timedelta(seconds=5), error=broken, retry=True)
        await enter(tx, leaf, Phase.RUNNING, at=START + timedelta(seconds=6), log=log)

    await window.page.goto(f"{console.run(run)}?i=leaf")

    detail = window.page.locator("#detail")
    for said in ("leaf", "shards", "Attempt 2", "Attempt 1", "out of memory", "file:///store/deep/leaf/inputs.pb"):
        await expect(detail).to_contain_text(said)
    await expect(detail.get_by_role("region", name="Attempt 1")).to_contain_text("3.0 s")
    await expect(detail).to_contain_text("flyte get logs --project flytesnacks --domain development deep leaf")
    await expect(detail).to_contain_text("flyte get io --project flytesnacks --domain development deep leaf")
    await expect(detail.get_by_role("link", name="Pod")).to_have_attribute("href", "https://logs.example/pod")
    await expect(detail.get_by_role("link", name="Odd")).to_have_count(0)
    await expect(detail).to_contain_text("javascript:void(0)")
    await expect(window.page.locator('#rows a[aria-current="true"]')).to_have_attribute("data-action", "leaf")


async def test_a_run_of_two_thousand_actions_is_a_window_and_quick(console: Console, window: Window) -> None:
    async with console.db.transaction() as tx:
        run = await a_run(tx, "wide", phase=Phase.RUNNING)
        await actions_of(tx, run, [f"shard{number:04}" for number in range(2000)], group="shards")
        await enter(tx, ActionKey(*run, "shard1234"), Phase.FAILED, at=START + timedelta(seconds=9))
    page = window.page
    await page.goto(console.run(run))  # connections and plans are warm
    started = time.perf_counter()
    response = await page.goto(console.run(run))
    took = time.perf_counter() - started

    assert response is not None
    assert len(await response.body()) < 60_000
    assert took < 2.0, f"the page took {took:.2f} s"
    assert await page.evaluate("document.querySelectorAll('*').length") < 1_000
    fold = page.locator("tr.fold")
    await expect(fold).to_contain_text("2,000")
    await expect(fold).to_contain_text("1,999 queued")
    await expect(page.locator("#rows .id")).to_have_text(["a0", "shard1234"])  # the failure is not folded away

    await fold.get_by_role("link").click()
    await expect(page.locator("#rows tr")).to_have_count(200)
    await expect(page.locator("#rows .id").first).to_have_text("shard1234")
    assert await page.evaluate("document.querySelectorAll('*').length") < 6_000
    assert await _listed(page.url) == ["shard1234", *(f"shard{n:04}" for n in range(2000) if n != 1234)]


async def _listed(address: str) -> list[str]:
    """Names of all actions, page after page."""
    names: list[str] = []
    async with httpx.AsyncClient() as client:
        while address:
            text = (await client.get(address)).text
            names += re.findall(r'<tr id="action-([^"]+)"', text)
            following = re.search(r'rel="next" href="([^"]+)"', text)
            address = urljoin(address, html.unescape(following[1])) if following else ""
    return names


async def test_a_phase_lists_its_actions_alone_and_failures_can_come_first(console: Console, window: Window) -> None:
    async with console.db.transaction() as tx:
        run = await a_run(tx, "mixed", phase=Phase.RUNNING)
        await actions_of(tx, run, {"good": Phase.SUCCEEDED, "bad": Phase.FAILED, "slow": Phase.TIMED_OUT})
    page = window.page
    await page.goto(console.run(run))
    await expect(page.locator("#rows .id")).to_have_text(["a0", "good", "bad", "slow"])

    await page.get_by_role("link", name="Failed first").click()
    await expect(page.locator("#rows .id")).to_have_text(["a0", "bad", "slow", "good"])
    await page.get_by_role("link", name="Failed 1").click()
    await expect(page.locator("#rows .id")).to_have_text(["bad"])


async def test_the_keyboard_leads_from_the_list_to_a_run_to_an_action(console: Console, window: Window) -> None:
    async with console.db.transaction() as tx:
        run = await a_run(tx, "keys", phase=Phase.RUNNING)
        await actions_of(tx, run, {"ok": Phase.SUCCEEDED, "broken": Phase.FAILED})
    page = window.page
    await page.goto(console.runs)

    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.locator("#run-keys a.row").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(console.run(run))
    await page.locator("#rows a.row").first.focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")

    await expect(page.locator("#detail")).to_have_attribute("data-action", "broken")
    await expect(page.locator("#action-broken a")).to_be_focused()
    assert "i=broken" in page.url
    await page.go_back()
    await expect(page.locator("#detail")).to_have_attribute("data-action", "a0")
