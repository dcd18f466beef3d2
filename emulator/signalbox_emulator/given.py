"""What an account holds before anybody deploys into it, under ids that templates name.

A YAML file in the state directory: `hosted_zones`, a mapping of id -> domain. In AWS somebody made them by hand.
"""

from pathlib import Path
from typing import Any

import yaml
from moto.route53.models import HostedZoneIdentifier
from moto.utilities.id_generator import moto_id_manager

from signalbox_emulator.aws import ACCOUNT, Account
from signalbox_emulator.deployment import GIVEN


def bring(account: Account, state_dir: Path) -> None:
    """Make what the file of `state_dir` names, nothing without a file."""
    file = state_dir / GIVEN
    given: dict[str, Any] = yaml.safe_load(file.read_text()) if file.exists() else {}
    route53 = account.client("route53", "us-east-1")
    for zone, domain in given.get("hosted_zones", {}).items():
        moto_id_manager.set_custom_id(HostedZoneIdentifier(ACCOUNT, f"{domain}.", None), zone)
        route53.create_hosted_zone(Name=domain, CallerReference=zone)
