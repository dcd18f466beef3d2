"""The local deployment and its evidence, beside the running service: real stacks, real CDK CLI, local emulator.

`signalbox-emulator` starts the emulator, deploys, collects while it still serves, and stops it. A deployment that
fails does not end the service, which does not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.up.commands import Commands
from signalbox.up.crew import Crew
from signalbox.up.failures import Failed
from signalbox.up.report import Report, read


@dataclass(frozen=True)
class Deployment:
    seconds: float
    report: Report


async def deploy(commands: Commands, crew: Crew) -> Deployment:
    """Deploy, collect, and read what was found. Raises Failed."""
    began = crew.progress.seconds
    crew.progress.say("deploy", "deploying the stacks into the local emulator, then collecting evidence")
    capabilities = commands.places.state / "capabilities.json"
    capabilities.write_text(await crew.capture(commands.capabilities()))
    await crew.watch(commands.deploy(capabilities))
    report = read(commands.places.report.with_suffix(".json"))
    crew.progress.say("evidence", f"{report.sentence}: {commands.places.report}")
    return Deployment(seconds=crew.progress.seconds - began, report=report)


async def deploy_beside(commands: Commands, crew: Crew) -> None:
    """As `deploy`, but a failure is only said."""
    try:
        await deploy(commands, crew)
    except Failed as e:
        crew.progress.say("deploy", f"failed; the service is not touched by it: {e}")
