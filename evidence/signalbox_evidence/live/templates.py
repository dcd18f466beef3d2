"""The templates of deployed stacks, for a run where nobody synthesised: in the account, on a schedule.

CloudFormation answers the template as it was sent. So the template mode then judges what was deployed, and the digest
in the report is that of its canonical JSON.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast  # templates are free JSON

from botocore.exceptions import BotoCoreError, ClientError

from signalbox_evidence.canonical import canonical, digest
from signalbox_evidence.errors import BadInput, Denied
from signalbox_evidence.live.clients import Clients
from signalbox_evidence.template.assembly import NO_VALIDATION, Assembly, StackTemplate, refuse_what_hides


def read_deployed(stacks: Sequence[str]) -> Assembly:
    """Read the templates of `stacks`, each REGION/NAME, the primary region's first.

    Raises BadInput (no such stack, or a template that hides resources), Denied, Unreachable.
    """
    places: list[tuple[str, str]] = []
    for stack in stacks:
        region, slash, name = stack.partition("/")
        if not (region and slash and name):
            raise BadInput(f"--stacks: wanted REGION/STACK, got {stack!r}")
        places.append((region, name))
    names = [name for _, name in places]
    if len(set(names)) < len(names):
        raise BadInput(f"--stacks: wanted each name once, got {names}")
    clients = {region: Clients(region) for region in dict.fromkeys(region for region, _ in places)}
    account = next(iter(clients.values())).identity().account
    return Assembly(
        stacks=tuple(_read(clients[region].of("cloudformation"), account, region, name) for region, name in places),
        validation=NO_VALIDATION,
    )


def _read(client: Any, account: str, region: str, name: str) -> StackTemplate:
    try:
        body: object = client.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
        protected: object = client.describe_stacks(StackName=name)["Stacks"][0].get("EnableTerminationProtection")
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ValidationError":  # CloudFormation's word for "not found"
            raise BadInput(f"{region}/{name}: wanted a deployed stack, got: {error}") from error
        raise Denied(f"{region}/{name}: its template: {error}") from error
    except BotoCoreError as error:
        raise Denied(f"{region}/{name}: its template: {error}") from error
    if not isinstance(body, Mapping):  # botocore parses JSON, and leaves YAML as text
        raise BadInput(f"{region}/{name}: wanted a template in JSON, got {type(body).__name__}")
    template = cast("dict[str, Any]", body)
    refuse_what_hides(template, f"{region}/{name}")
    return StackTemplate(
        name=name,
        file=f"{name}.template.json",
        sha256=digest(canonical(template)),
        account=account,
        region=region,
        termination_protection=protected is True,
        body=template,
    )
