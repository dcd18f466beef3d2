from __future__ import annotations

from flyteidl2.actions import actions_service_pb2
from flyteidl2.common import identifier_pb2
from flyteidl2.workflow import run_service_pb2

from signalbox.api import orgs


def test_an_empty_org_is_filled_in_every_identifier_that_is_present() -> None:
    request = actions_service_pb2.EnqueueRequest()
    request.action.action_id.run.name = "r1"
    request.action.task.id.name = "main"

    orgs.fill(request, "local")

    assert request.action.action_id.run.org == "local"
    assert request.action.task.id.org == "local"
    assert not request.action.HasField("recovered_from")


def test_an_org_that_the_client_names_stays() -> None:
    request = run_service_pb2.GetRunDetailsRequest(run_id=identifier_pb2.RunIdentifier(org="acme", name="r1"))

    orgs.fill(request, "local")

    assert request.run_id.org == "acme"


def test_what_a_task_holds_is_not_touched() -> None:
    request = run_service_pb2.CreateRunRequest()
    request.task_spec.task_template.id.name = "main"

    orgs.fill(request, "local")

    assert request.task_spec.task_template.id.org == ""


def test_filling_an_org_does_not_choose_another_member_of_a_oneof() -> None:
    request = run_service_pb2.ListRunsRequest(project_id=identifier_pb2.ProjectIdentifier(name="p", domain="d"))

    orgs.fill(request, "local")

    assert request.WhichOneof("scope_by") == "project_id"
    assert request.project_id.organization == "local"
