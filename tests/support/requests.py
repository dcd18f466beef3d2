"""Requests as the SDK sends them: without an org, in the run of `support.engine` and its project."""

from __future__ import annotations

from typing import Any

from flyteidl2.actions import actions_service_pb2
from flyteidl2.common import phase_pb2
from flyteidl2.core import types_pb2
from flyteidl2.workflow import run_service_pb2

from support.engine import RUN

ENQUEUE = "actions.ActionsService/Enqueue"
RUNS = "workflow.RunService"


def identify(message: Any, name: str, run: str = RUN.run) -> Any:
    """The ActionIdentifier, of this action."""
    message.name = name
    message.run.project, message.run.domain, message.run.name = RUN.project, RUN.domain, run
    return message


def enqueued(
    name: str = "c1", kind: str = "task", *, parent: str = "a0", run: str = RUN.run
) -> actions_service_pb2.EnqueueRequest:
    request = actions_service_pb2.EnqueueRequest()
    action = request.action
    identify(action.action_id, name, run)
    action.parent_action_name = parent
    action.input_uri, action.run_output_base = f"file:///store/{run}/{name}/inputs.pb", f"file:///store/{run}"
    match kind:
        case "condition":
            action.condition.name, action.condition.type.simple = "approve", types_pb2.STRING
        case "trace":
            action.trace.name, action.trace.phase = "lookup", phase_pb2.ACTION_PHASE_SUCCEEDED
            action.trace.spec.interface.SetInParent()
        case _:
            task = action.task
            task.id.project, task.id.domain, task.id.name, task.id.version = RUN.project, RUN.domain, "main.leaf", "v1"
            task.spec.short_name = "leaf"
            task.spec.task_template.id.name = "main.leaf"
    return request


def created(name: str = "") -> run_service_pb2.CreateRunRequest:
    """Of a run whose name is generated when none is given."""
    request = run_service_pb2.CreateRunRequest()
    if name:
        request.run_id.project, request.run_id.domain, request.run_id.name = RUN.project, RUN.domain, name
    else:
        request.project_id.name, request.project_id.domain = RUN.project, RUN.domain
    request.task_spec.short_name = "main"
    request.task_spec.task_template.id.name = "main.main"
    request.offloaded_input_data.uri, request.offloaded_input_data.inputs_hash = "file:///store/in.pb", "hash"
    return request


def details(name: str, run: str = RUN.run) -> run_service_pb2.GetActionDetailsRequest:
    request = run_service_pb2.GetActionDetailsRequest()
    identify(request.action_id, name, run)
    return request


def parent_of(name: str = "a0", run: str = RUN.run) -> actions_service_pb2.WatchForUpdatesRequest:
    """The watch over this parent's children."""
    request = actions_service_pb2.WatchForUpdatesRequest()
    identify(request.parent_action_id, name, run)
    return request
