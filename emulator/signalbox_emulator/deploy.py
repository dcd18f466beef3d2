"""`deploy`: a project's real stacks into the emulator with the real cdk CLI.

What it leaves in the state directory is the record of stacks that were deployed entirely, the cloud assembly, and the
logs.
"""

from collections.abc import Callable

from signalbox_emulator import assembly
from signalbox_emulator.aws import ACCOUNT
from signalbox_emulator.cdk import Cdk
from signalbox_emulator.deployment import Deployment
from signalbox_emulator.environment import REGION, aws_environment, with_node
from signalbox_emulator.failures import Failed, NotFound

_NOBODY = "http://localhost:9"
"""The discard port."""


def deploy(deployment: Deployment, wait_for_endpoint: Callable[[], str]) -> dict[str, str]:
    """Bring the project's stacks into the emulator; return the environment to reach them with.

    The stacks are synthesised while the server starts, with an endpoint where nobody listens: synthesis needs none.
    """
    if not deployment.cdk.exists():
        raise NotFound(f"{deployment.cdk} does not exist: install the project's Node packages, or name another --cdk")
    alone = with_node(aws_environment(_NOBODY, deployment.state_dir))
    if assembly.is_current(deployment.project, deployment.assembly, alone):
        deployment.report("nothing changed since the last synthesis")
    else:
        deployment.report("synthesising the stacks")
        assembly.synthesise(deployment.project, deployment.assembly, deployment.cdk, alone, deployment.log("synth"))
    endpoint = wait_for_endpoint()
    environment = aws_environment(endpoint, deployment.state_dir)
    cdk = Cdk(deployment, with_node(environment), endpoint)
    for account, region in assembly.environments(deployment.assembly, REGION):
        _refuse_other_account(account)
        cdk.bootstrap(region)
    cdk.deploy()
    cdk.wait_for_all()
    return environment | {"SIGNALBOX_EMULATOR": "1", "SIGNALBOX_CLOUD_ASSEMBLY": str(deployment.assembly)}


def _refuse_other_account(account: str) -> None:
    if account not in {ACCOUNT, "unknown-account"}:
        raise Failed(
            f"the stacks go to account {account}, and the emulator is account {ACCOUNT}: use its configuration"
        )
