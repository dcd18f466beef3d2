from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest
from flyteidl2.core import execution_pb2
from flyteidl2.workflow import run_definition_pb2
from playwright.async_api import Page, expect

from signalbox.control.hub import run_topic
from signalbox.ids import ROOT_ACTION, ActionKey, RunKey
from signalbox.rules.phases import Phase
from support.builders import a_run, actions_of, enter

if TYPE_CHECKING:
    from support.browser import Console, Window

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Each would run in at least one context: text, attribute (any quote), URL, script, style, comment, raw text, SVG.
POLYGLOTS = [
    "<script>ran()</script>",
    "'\"><img src=x onerror=ran()>",
    "\"autofocus onfocus=ran() x='",
    "</title></textarea></style></noscript></script><svg onload=ran()>",
    "jaVasCript:/*-/*`/*\\`/*'/*\"/**/(/* */oNcliCk=ran() )//</titLe/</scRipt/--!>\\x3csVg/<sVg/oNloAd=ran()//>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=ran()>",
    "{{7*7}}{% raw %}${7*7}<%= 7*7 %>",
    "&lt;script&gt;ran()&lt;/script&gt;",
    "\u202e<a href=javascript:ran()>x</a>",
    "]]><!--<img src=x onerror=ran()>-->",
    "line\nbreak\rdata: <img src=x onerror=ran()>\n\nevent: region\ndata: <img src=x onerror=ran()>",
]

_CANARY = "window.ran = () => { window.hasRun = true; };"

# What the templates never make, and all links; after everything that can be focused was.
_LOOK = """() => {
  for (const element of document.querySelectorAll("#content *")) element.focus?.();
  const foreign = "img:not([src^='/v2/static/']), script:not([src^='/v2/static/']), math, mglyph, form form, [onfocus]";
  return {
    ran: Boolean(window.hasRun),
    foreign: [...document.querySelectorAll(foreign)].map((element) => element.outerHTML),
    links: [...document.querySelectorAll("a[href]")].map((link) => link.getAttribute("href")),
  };
}"""


async def _nothing_ran(page: Page) -> None:
    found = await page.evaluate(_LOOK)
    assert not found["ran"]
    assert found["foreign"] == []
    assert [href for href in found["links"] if not re.match(r"(https?://|/|#)", href)] == []


async def _evil_run(console: Console, number: int, evil: str) -> RunKey:
    """A run with the text in every field that users choose."""
    async with console.db.transaction() as tx:
        run = await a_run(tx, f"evil{number}", task=evil, version=evil, created_by=f"user:{evil}", labels={evil: evil})
        await enter(tx, ActionKey(*run, ROOT_ACTION), Phase.RUNNING, cluster=evil, log=_log(evil))
        await actions_of(tx, run, ["leaf"], task=f"main.{evil}", group=evil)
        await actions_of(tx, run, [f"many{n}" for n in range(51)], task=evil, group=f"{evil} many")
    return run


def _log(evil: str) -> run_definition_pb2.ActionEvent:
    uris = [evil, f"https://x/{evil}"]
    return run_definition_pb2.ActionEvent(log_info=[execution_pb2.TaskLog(name=evil, uri=uri) for uri in uris])


async def test_no_text_of_users_runs_as_script(console: Console, window: Window) -> None:
    page = window.page
    await page.add_init_script(_CANARY)
    for number, evil in enumerate(POLYGLOTS):
        run = await _evil_run(console, number, evil)
        await page.goto(f"{console.run(run)}?i=leaf")
        await expect(page.locator("#pulse")).to_have_text("Live")
        await _nothing_ran(page)

        error = run_definition_pb2.ErrorInfo(code=evil, message=evil)
        async with console.db.transaction() as tx:
            await enter(tx, ActionKey(*run, "leaf"), Phase.FAILED, error=error, log=_log(evil), output_uri=evil)
            await enter(tx, ActionKey(*run, ROOT_ACTION), Phase.FAILED, error=error, log=_log(evil))
        console.hub.publish([run_topic(run)])
        await expect(page.get_by_role("region", name="Error of the run")).to_be_visible()
        await _nothing_ran(page)
        assert (await page.locator("#head .trouble pre").inner_text()).split() == evil.split()

    for evil in POLYGLOTS[:4]:
        for query in (f"?task={quote(evil)}&q={quote(evil)}", f"/evil0?under=a0&group={quote(evil)}"):
            await page.goto(console.runs + query)
            await _nothing_ran(page)
    await page.goto(console.runs)
    await expect(page.locator("#pulse")).to_have_text("Live")
    await expect(page.locator("#rows tr")).to_have_count(len(POLYGLOTS))
    await _nothing_ran(page)


async def test_every_answer_forbids_what_the_page_does_not_need(console: Console) -> None:
    async with console.db.transaction() as tx:
        run = await a_run(tx)
    async with httpx.AsyncClient() as client:
        for address in (console.runs, console.run(run), f"{console.runs}?phase=lost", f"{console.url}/v2/nowhere"):
            headers = (await client.get(address)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8090", "10.0.0.1"])
async def test_another_hosts_name_is_refused_on_pages_and_forms(console: Console, host: str) -> None:
    async with console.db.transaction() as tx:
        run = await a_run(tx)
    async with httpx.AsyncClient() as client:
        page = await client.get(console.run(run), headers={"host": host})
        form = await client.post(f"{console.run(run)}/abort", headers={"host": host, "sec-fetch-site": "same-origin"})
        for good in ("localhost:8090", "127.0.0.1", "[::1]:8090", "LOCALHOST"):
            assert (await client.get(console.run(run), headers={"host": good})).status_code == 200

    assert (page.status_code, form.status_code) == (421, 421)


async def test_every_address_that_the_sdk_prints_is_a_page(console: Console) -> None:
    async with console.db.transaction() as tx:
        run = await a_run(tx)
    scope = console.runs.removesuffix("/runs")
    families = ["tasks/main.greet", "apps/web", "artifacts/model", "triggers/main.greet/nightly", "tracked-runs/r1"]
    async with httpx.AsyncClient(follow_redirects=True) as client:
        for path in ["tasks", "apps", "artifacts", "triggers", "tracked-runs", *families]:
            answer = await client.get(f"{scope}/{path}")
            assert answer.status_code == 200, path
            assert "not in this version" in answer.text
        for address in (console.url, f"{console.url}/v2", scope, console.runs, f"{console.run(run)}?i=a0"):
            assert (await client.get(address)).status_code == 200, address
        for missing in (
            f"{scope}/nothing",
            f"{console.runs}/nothing",
            f"{scope}/live/nothing",
            scope.replace("flytesnacks", "other"),
        ):
            assert (await client.get(missing)).status_code == 404, missing


async def test_static_files_are_kept_forever_under_the_digest_of_their_content(console: Console) -> None:
    async with httpx.AsyncClient() as client:
        page = await client.get(console.runs)
        paths = set(re.findall(r'"(/v2/static/[^"]+)"', page.text))
        assert len(paths) == 3
        for path in paths:
            answer = await client.get(console.url + path)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            stale = re.sub(r"\.[0-9a-f]{16}\.", ".0000000000000000.", path)
            assert (await client.get(console.url + stale)).status_code == 404
