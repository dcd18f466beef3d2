"""The documents say what is: settings, metrics, files and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from signalbox import metrics
from signalbox.settings import Settings

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BASES = (ROOT, ROOT / "service" / "signalbox")
OPERATING = (ROOT / "docs" / "operating.md").read_text()
SERVICE = OPERATING[OPERATING.index("## The service") :]


def test_every_setting_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"`SIGNALBOX_([A-Z_]+)`", SERVICE)) - {"DATAPLANE_JOIN_TOKEN"}

    assert documented == {name.upper() for name in Settings.model_fields}


def test_every_metric_is_documented_and_no_other() -> None:
    assert metrics
    names = {m.name for m in REGISTRY.collect() if m.name.startswith("signalbox_")}
    documented = {name.removesuffix("_total") for name in re.findall(r"^\| `(signalbox_\w+)`", SERVICE, re.MULTILINE)}

    assert documented == names


def test_every_file_that_where_names_exists() -> None:
    where = (ROOT / "docs" / "where.md").read_text()
    rows = [line.split("|")[2] for line in where.splitlines() if line.startswith("|") and "`" in line]
    paths = [path for row in rows for path in re.findall(r"`([^`(]+)`", row) if "/" in path or path.endswith(".py")]
    missing = [path for path in paths if not any((base / path).exists() for base in BASES)]

    assert len(paths) > 30
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    dead = [link for link in links if "://" not in link and not (document.parent / link).exists()]

    assert dead == []


def test_the_readme_quotes_the_sample() -> None:
    readme = (ROOT / "README.md").read_text()
    quoted = re.search(r"```python\n(.*?)```", readme, re.DOTALL)

    assert quoted is not None
    assert quoted.group(1) in (ROOT / "examples" / "hello.py").read_text()


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"make ([a-z-]+)", (ROOT / "README.md").read_text())) <= targets
