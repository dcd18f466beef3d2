"""Runbooks name commands that exist: of AWS by its own service models, of make and of our programs by asking them."""

import re
import shlex
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from support.templates import ROOT

RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
WANTED = {
    "first-deploy", "upgrade", "rollback", "restore", "region-loss", "key-loss", "credential-rotation", "scaling",
    "teardown",
}  # fmt: skip

_AWS_OWN = {
    ("s3", "cp"),
    ("s3", "ls"),
    ("s3", "sync"),
    ("s3", "rm"),
    ("logs", "tail"),
    ("rds", "generate-db-auth-token"),
    ("cloudtrail", "validate-logs"),
}
"""Commands of the AWS CLI that stand for no single operation."""
_WAITERS = "wait"


def _commands(text: str) -> list[list[str]]:
    """Every command of a page: lines of its shell blocks, and what stands between backticks."""
    blocks = re.findall(r"```(?:sh)?\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`((?:aws|make|signalbox[a-z-]*|node_modules/\.bin/cdk|cdk) [^`]+)`", text)
    found: list[list[str]] = []
    inner = re.compile(r"\$\(([^()]*)\)")
    lines = [inner.sub("VALUE", line) for line in lines] + [it for line in lines for it in inner.findall(line)]
    for line in lines:
        for part in re.split(r"\s(?:\||&&|;)\s", line.strip()):
            words = shlex.split(part.split(" #")[0], comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*|export|exec|time", words[0]):
                words = words[1:]
            if words:
                found.append(words)
    return found


def _pages(program: str) -> list[tuple[str, list[str]]]:
    return [
        (page.stem, words)
        for page in RUNBOOKS
        for words in _commands(page.read_text())
        if Path(words[0]).name == program
    ]


def test_every_runbook_is_there() -> None:
    assert {page.stem for page in RUNBOOKS} >= WANTED


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_names_commands(page: Path) -> None:
    assert _commands(page.read_text())


def test_every_aws_command_is_an_operation_and_its_options_are_parameters() -> None:
    session = botocore.session.Session()
    asked = _pages("aws")

    assert len(asked) > 20
    wrong: list[str] = []
    for page, (_, service, operation, *options) in asked:
        if (service, operation) in _AWS_OWN or operation == _WAITERS:
            continue
        name = "s3" if service == "s3api" else service
        if name not in session.get_available_services():
            wrong.append(f"{page}: aws {service}")
            continue
        model = session.get_service_model(name)
        known = {xform_name(it, "-"): it for it in model.operation_names}
        if operation not in known:
            wrong.append(f"{page}: aws {service} {operation}")
            continue
        shape = model.operation_model(known[operation]).input_shape
        members = {xform_name(it, "-") for it in (shape.members if shape else {})}
        generic = {"region", "output", "query", "profile", "no-cli-pager", "cli-input-json"}
        for option in options:
            if option.startswith("--"):
                plain = option.removeprefix("--").split("=")[0]
                if not {plain, plain.removeprefix("no-")} & (members | generic):
                    wrong.append(f"{page}: aws {service} {operation} {option}")
    assert wrong == []


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))

    assert {(page, word) for page, words in _pages("make") for word in words[1:] if "=" not in word} - {
        (page, target) for page in (it.stem for it in RUNBOOKS) for target in targets
    } == set()
