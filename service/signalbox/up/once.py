"""`signalbox up --once`: bring everything up, prove it with the sample workflow, deploy, collect, and say what held."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass

from signalbox.up.deploy import Deployment, deploy
from signalbox.up.sample import Ran, run_sample
from signalbox.up.supervisor import Running


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What one `--once` has shown; times in seconds."""

    api_seconds: float
    linked_seconds: float
    sample: Ran
    deployment: Deployment | None
    """None when it was left out."""
    report: str | None

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def lines(self) -> list[str]:
        """For people, one sentence each."""
        ran, deployed = self.sample, self.deployment
        sample = f"the stock SDK ran {ran.children} children and got the right sum, {ran.result}"
        lines = [
            f"the API answered after {self.api_seconds:.1f} s; the data plane linked after {self.linked_seconds:.1f} s",
            f"{sample}: CLI {ran.cli_seconds:.1f} s (run {ran.name}), Python {ran.python_seconds:.1f} s",
        ]
        if deployed is None:
            lines.append("deployment and evidence were left out")
        else:
            lines.append(f"the stacks were deployed in {deployed.seconds:.1f} s, evidence included")
            lines.append(f"{deployed.report.sentence}: {self.report}")
        return [*lines, "nothing is left running"]


async def prove(running: Running, *, with_deployment: bool) -> Proof:
    """Run the sample, then the deployment if wanted. Raises Failed at the first thing that does not hold."""
    commands, crew = running.commands, running.crew
    async with asyncio.TaskGroup() as group:
        sample = group.create_task(run_sample(commands, crew, running.config))
        deployment = group.create_task(deploy(commands, crew)) if with_deployment else None
    return Proof(
        api_seconds=running.api_seconds,
        linked_seconds=running.linked_seconds,
        sample=sample.result(),
        deployment=deployment.result() if deployment else None,
        report=str(commands.places.report) if deployment else None,
    )
