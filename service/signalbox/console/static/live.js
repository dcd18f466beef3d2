// Keeps a page as new as its data. Every page is whole without this file; with it, the server's stream of HTML
// replaces what changed (see live.py), clocks go on, and another action is shown without losing one's place.
//
// Nothing here reads data: it moves elements that the server rendered.

const DAY = 86400;
const RETRY_MS = [1000, 2000, 5000, 15000, 60000];

let source = null;
let retries = 0;
let retryTimer = 0;
let skew = 0; // milliseconds that the server's clock is ahead of this one
let shown = location.pathname + location.search;

const main = () => document.getElementById("content");
const now = () => Date.now() + skew;

/** As `ago` in words.py. @param {number} at milliseconds @returns {string} */
function ago(at) {
  const seconds = Math.max(Math.floor((now() - at) / 1000), 0);
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < DAY) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 30 * DAY) return `${Math.floor(seconds / DAY)} d ago`;
  return new Date(at).toISOString().slice(0, 10);
}

/** As `duration` in words.py. @param {number} ms @returns {string} */
function duration(ms) {
  const exact = Math.max(ms / 1000, 0);
  if (exact < 60) return `${exact.toFixed(1)} s`;
  const seconds = Math.floor(exact);
  const two = (number) => String(number).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < DAY) return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
  return `${Math.floor(seconds / DAY)} d ${Math.floor((seconds % DAY) / 3600)} h`;
}

/** Writes only what differs, so that a screen reader and the layout are left in peace. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function drawClocks(root = document) {
  for (const time of root.querySelectorAll("[data-ago]")) say(time, ago(Date.parse(time.dateTime)));
  for (const span of root.querySelectorAll("[data-since]")) {
    say(span, duration(now() - Date.parse(span.dataset.since)));
  }
  const rows = document.getElementById("rows");
  if (rows?.dataset.begin && main().dataset.live) drawBars(rows);
}

/** The run lasts: its bars are drawn against the present. */
function drawBars(rows) {
  const begin = Number(rows.dataset.begin);
  const whole = Math.max(now() - begin, 1);
  for (const rect of rows.querySelectorAll("rect")) {
    const left = Math.min(Math.max((Number(rect.dataset.begin) - begin) / whole, 0), 1);
    const end = rect.dataset.end ? Number(rect.dataset.end) : now();
    const right = Math.min(Math.max((end - begin) / whole, left), 1);
    rect.setAttribute("x", Math.min(left * 1000, 996).toFixed(1));
    rect.setAttribute("width", Math.max((right - left) * 1000, 4).toFixed(1));
  }
}

/** @param {string} html @returns {Element[]} */
function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children];
}

/** Puts `fresh` where `old` is; the focus and what is unfolded stay. */
function replace(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  old.replaceWith(fresh);
  if (focused instanceof HTMLAnchorElement) {
    [...fresh.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused.getAttribute("href"))?.focus();
  }
}

function takeRegions(html) {
  for (const fresh of parsed(html)) {
    const old = document.getElementById(fresh.id);
    if (!old) continue;
    const flash = old.tagName === "TR" && phaseOf(old) !== phaseOf(fresh);
    replace(old, fresh);
    if (flash) fresh.classList.add("fresh");
  }
}

const phaseOf = (row) => row.querySelector(".phase")?.className ?? "";

/** All rows in order: those that are here as they should be stay the same elements. */
function takeRows(html) {
  const rows = document.getElementById("rows");
  const first = rows.dataset.taken === undefined;
  const focused = rows.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const known = new Map([...rows.children].map((row) => [row.id, row]));
  const next = parsed(html).map((fresh) => {
    const old = known.get(fresh.id);
    if (old?.isEqualNode(fresh)) return old;
    if (!old && !first) fresh.classList.add("fresh");
    return fresh;
  });
  rows.replaceChildren(...next);
  rows.dataset.taken = "";
  if (focused) [...rows.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused)?.focus();
}

/** The action shown in full is marked in the list, also in rows that have just come. */
function markSelected() {
  const name = document.getElementById("detail")?.dataset.action;
  for (const link of document.querySelectorAll("#rows a[data-action]")) {
    if (link.dataset.action === name) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function taken() {
  drawClocks();
  markSelected();
}

function pulse(word, text) {
  const element = document.getElementById("pulse");
  if (!element) return;
  element.className = `pulse ${word}`;
  say(element, text);
}

function listen() {
  stop();
  const url = main().dataset.live;
  if (!url || document.hidden) return;
  source = new EventSource(url);
  const on = (name, take) =>
    source.addEventListener(name, (event) => {
      retries = 0;
      pulse("on", "Live");
      take(event.data);
    });
  on("region", (html) => (takeRegions(html), taken()));
  on("rows", (html) => (takeRows(html), taken()));
  on("tick", (time) => (skew = Number(time) - Date.now()));
  on("over", () => {
    stop();
    drawClocks();
    delete main().dataset.live;
    document.getElementById("abort")?.remove();
    pulse("", "");
  });
  source.onerror = () => {
    // Streams end by themselves now and then, and the browser comes again; after a refusal it does not.
    if (source.readyState !== EventSource.CLOSED) return;
    pulse("off", "Reconnecting…");
    retryTimer = setTimeout(listen, RETRY_MS[Math.min(retries++, RETRY_MS.length - 1)]);
  };
}

function stop() {
  clearTimeout(retryTimer);
  source?.close();
  source = null;
}

/** Shows another page of the same run in place: one's position in the list is kept. */
async function swap(url, { push }) {
  const response = await fetch(url, { headers: { accept: "text/html" } });
  if (!response.ok) return void location.assign(url);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById("content");
  const focused = document.activeElement?.dataset?.action;
  const unfolded = document.querySelector("#abort[open]");
  stop();
  main().replaceWith(document.adoptNode(fresh));
  if (unfolded) document.getElementById("abort")?.replaceWith(unfolded);
  document.title = page.title;
  if (push) history.pushState({}, "", url);
  shown = location.pathname + location.search;
  if (focused) document.querySelector(`#rows a[data-action="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  taken();
  listen();
}

document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    void navigator.clipboard.writeText(copy.dataset.copy).then(() => {
      say(copy, "Copied");
      setTimeout(() => say(copy, "Copy"), 1500);
    });
    return;
  }
  const link = event.target.closest("a[data-swap]");
  if (link && event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey) {
    event.preventDefault();
    void swap(link.href, { push: true }).then(() => {
      const detail = document.getElementById("detail");
      if (detail && detail.getBoundingClientRect().top > innerHeight * 0.8) detail.scrollIntoView();
    });
    return;
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = event.target.closest("details.menu[open]") ?? document.querySelector("details.menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    return;
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.matches("a.row")) return;
  const links = [...document.querySelectorAll("#rows a.row")];
  const next = links[links.indexOf(event.target) + step];
  if (next) {
    event.preventDefault();
    next.focus();
  }
});

// A hidden page holds no stream: browsers allow few connections to a host, and someone has many pages open.
document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
addEventListener("popstate", () => {
  // A link within the page comes here too, and changes nothing.
  if (location.pathname + location.search !== shown) void swap(location.href, { push: false });
});
addEventListener("pageshow", (event) => event.persisted && listen());
addEventListener("pagehide", stop);
setInterval(() => document.hidden || drawClocks(), 1000);

document.documentElement.classList.add("scripted");
taken();
listen();
