"""Runs that tests begin through the stock SDK, and what became of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.invariants import violations
from support.stack import Stack, run_name

_BEGIN = """
    import importlib
    import json
    import sys

    import flyte

    flyte.init_from_config(None)
    module = importlib.import_module(sys.argv[1])
    for label, task, inputs in json.loads(sys.argv[2]):
        print("begun", label, flyte.run(getattr(module, task), **inputs).name)
"""


def start(stack: Stack, program: Path, task: str, *words: str, before: tuple[str, ...] = ()) -> str:
    """Begin a run with the CLI; its name."""
    return run_name(stack.flyte("run", *before, str(program), task, *words).stdout)


def begin(stack: Stack, program: Path, **runs: tuple[str, dict[str, Any]]) -> dict[str, str]:
    """Begin runs, each a task and its inputs, one after the other from one Python program; their names."""
    wanted = [(label, task, inputs) for label, (task, inputs) in runs.items()]
    said = stack.python(stack.program("begins", _BEGIN), program.stem, json.dumps(wanted))
    names = dict(line.split()[1:] for line in said.splitlines() if line.startswith("begun "))
    assert names.keys() == runs.keys(), said
    return names


def finish(stack: Stack, name: str, *, phase: str = "SUCCEEDED") -> str:
    """The run's outputs as JSON, when it has ended in `phase`."""
    ended = stack.until_phase(name, "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT", "RECOVERED", within=90)
    assert ended == phase, f"{name}: {details(stack, name)}\n{stack.log('dataplane')[-3000:]}"
    assert violations(stack.database_url()) == {}
    return stack.outputs(name) if phase == "SUCCEEDED" else ""


def children(stack: Stack, name: str, task: str) -> list[dict[str, Any]]:
    """The run's actions of this task."""
    return [a for a in stack.actions(name) if a["metadata"].get("funtionName") == task]  # the field's own spelling


def the_child(stack: Stack, name: str, task: str) -> dict[str, Any]:
    (found,) = children(stack, name, task)
    return found


def phase_of(action: dict[str, Any]) -> str:
    return action["status"]["phase"].removeprefix("ACTION_PHASE_")


def details(stack: Stack, name: str, action: str = "a0") -> dict[str, Any]:
    identity = {"run": stack.run_id(name), "name": action}
    return stack.ask("flyteidl2.workflow.RunService/GetActionDetails", actionId=identity)["details"]


def attempts(stack: Stack, name: str, action: str = "a0") -> list[str]:
    """Phases of the action's attempts, oldest first."""
    return [a["phase"].removeprefix("ACTION_PHASE_") for a in details(stack, name, action)["attempts"]]


def at_once(stack: Stack, name: str, task: str) -> int:
    """The most actions of this task that ran at one time, by the times of their attempts."""
    moments: list[tuple[str, int]] = []
    for action in children(stack, name, task):
        (attempt,) = details(stack, name, action["id"]["name"])["attempts"]
        moments += [(attempt["startTime"], 1), (attempt["endTime"], -1)]
    now = most = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most
