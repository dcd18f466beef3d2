"""A run: which controls are carried out in which modes, in what order, on what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from signalbox_evidence.capabilities import NO_LIMITS, Capabilities
from signalbox_evidence.catalogue import Catalogue, Mode, Params, ParamValue
from signalbox_evidence.errors import BadInput
from signalbox_evidence.exceptions import Exemption
from signalbox_evidence.live.clients import Clients, Identity
from signalbox_evidence.live.reader import Reader
from signalbox_evidence.live.world import LiveWorld, Place
from signalbox_evidence.observation import Context, Observation, observe
from signalbox_evidence.report import EMULATOR_NOTICE, Emulator, Report, compose, run_id
from signalbox_evidence.template.assembly import Assembly
from signalbox_evidence.template.world import TemplateWorld

Progress = Callable[[str], None]
Settings = Mapping[str, Mapping[str, ParamValue]]
"""control id -> parameter -> value, where it differs from the default"""


@dataclass(frozen=True)
class Result:
    report: Report
    raw: dict[str, bytes]
    started: datetime


def _clients(assembly: Assembly) -> dict[str | None, Clients]:
    """Return clients for each region of the assembly, the primary one first."""
    return {region: Clients(region) for region in dict.fromkeys(stack.region for stack in assembly.stacks)}


def _place(assembly: Assembly, region: str | None, clients: Clients) -> Place:
    stacks = [stack.name for stack in assembly.stacks if stack.region == region]
    return Place(Reader(clients), stacks, assembly.brought_along(region=region))


def _check_account(assembly: Assembly, identity: Identity) -> None:
    """The assembly must be of the account that answers: evidence of another account would be false."""
    for stack in assembly.stacks:
        if stack.account not in (None, identity.account):
            raise BadInput(
                f"stack {stack.name} is made for account {stack.account}, the credentials are of {identity.account}"
            )


def _emulator(identity: Identity | None, capabilities: Capabilities | None) -> Emulator | None:
    if identity is None or not identity.is_emulator:
        if capabilities is not None:
            raise BadInput("a capability list is for an emulator: nothing of AWS itself is excused")
        return None
    return Emulator(
        endpoint=identity.endpoint,
        notice=EMULATOR_NOTICE,
        capabilities_sha256=capabilities.sha256 if capabilities else None,
    )


def carry_out(
    assembly: Assembly,
    catalogue: Catalogue,
    *,
    modes: list[Mode],
    settings: Settings,
    capabilities: Capabilities | None,
    progress: Progress,
    exceptions: Sequence[Exemption] = (),
) -> Result:
    """Carry out every control in each of `modes` that it has, in id order. Raises BadInput, Denied, Unreachable."""
    for control_id in settings:
        catalogue.control(control_id)
    params = {control.id: Params(control, settings.get(control.id, {})) for control in catalogue.controls}
    started = datetime.now(UTC)
    identifier = run_id(assembly, started)
    observations: list[Observation] = []
    identity: Identity | None = None
    places: list[Place] = []
    emulator: Emulator | None = None
    if Mode.LIVE in modes:
        clients = _clients(assembly)
        identity = next(iter(clients.values())).identity()
        places = [_place(assembly, region, of_region) for region, of_region in clients.items()]
        _check_account(assembly, identity)
        emulator = _emulator(identity, capabilities)
    elif capabilities is not None:
        raise BadInput("a capability list says something about live mode only")
    context = Context(
        run_id=identifier,
        catalogue_sha256=catalogue.sha256,
        account=identity.account if identity else None,
        region=identity.region if identity else None,
        actor=identity.arn if identity else None,
    )
    template = TemplateWorld(assembly)
    for control in catalogue.controls:
        if Mode.TEMPLATE in modes and Mode.TEMPLATE in control.modes:
            seen = observe(control, template, params[control.id], limits=NO_LIMITS, context=context, calls=[])
            observations.append(seen)
            progress(f"{control.id} template: {seen.status}")
        if identity and Mode.LIVE in control.modes:
            world = LiveWorld(identity.account, places)
            limits = capabilities or NO_LIMITS
            seen = observe(control, world, params[control.id], limits=limits, context=context, calls=world.calls)
            observations.append(seen)
            progress(f"{control.id} live: {seen.status}")
    report = compose(
        identifier=identifier,
        assembly=assembly,
        catalogue=catalogue,
        identity=identity,
        regions=[place.reader.region for place in places],
        emulator=emulator,
        observations=observations,
        exceptions=exceptions,
        started=started,
        ended=datetime.now(UTC),
    )
    raw = {sha256: content for place in places for sha256, content in place.reader.raw.items()}
    return Result(report, raw, started)
