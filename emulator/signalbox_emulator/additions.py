"""Calls and states that moto lacks in services that it has, written so that they could be offered to it.

What they answer is ours and not moto's: each stands in the capability list as patched, and evidence says so beside it.
"""

import json
from collections.abc import Callable
from typing import Any, cast

from moto.backup import urls
from moto.backup.exceptions import ResourceNotFoundException
from moto.backup.responses import BackupResponse
from moto.rds.models import DBCluster, DBInstance, RDSBackend

JsonObject = dict[str, Any]


def apply() -> None:
    """Add them to moto in this process. Calling it again changes nothing."""
    urls.url_paths["{0}/backup-vaults/(?P<name>[^/]+)/access-policy$"] = BackupResponse.dispatch
    for handler in (put_backup_vault_access_policy, get_backup_vault_access_policy, delete_backup_vault_access_policy):
        setattr(BackupResponse, handler.__name__, handler)
    RDSBackend.create_db_instance = _create_db_instance
    RDSBackend.reboot_db_instance = _reboot_db_instance
    setattr(DBCluster, "db_cluster_members", property(_db_cluster_members))  # noqa: B010 - pyright knows no way


def _vault(response: BackupResponse) -> Any:
    name = response.path.split("/")[2]
    vault = response.backup_backend.vaults.get(name)
    if vault is None:
        raise ResourceNotFoundException(msg=f"Backup vault {name} not found")
    return vault


def put_backup_vault_access_policy(self: BackupResponse) -> str:
    _vault(self).access_policy = json.loads(self.body)["Policy"]
    return "{}"


def get_backup_vault_access_policy(self: BackupResponse) -> str:
    vault = _vault(self)
    policy = getattr(vault, "access_policy", None)
    if policy is None:
        raise ResourceNotFoundException(msg=f"Access policy of backup vault {vault.backup_vault_name} not found")
    return json.dumps(
        {"BackupVaultName": vault.backup_vault_name, "BackupVaultArn": vault.backup_vault_arn, "Policy": policy}
    )


def delete_backup_vault_access_policy(self: BackupResponse) -> str:
    _vault(self).access_policy = None
    return "{}"


_create, _reboot = RDSBackend.create_db_instance, RDSBackend.reboot_db_instance
_members = cast("Callable[[DBCluster], list[JsonObject]]", DBCluster.db_cluster_members.fget)


def _create_db_instance(self: RDSBackend, db_kwargs: JsonObject) -> DBInstance:
    return _started(self, _create(self, db_kwargs))


def _reboot_db_instance(self: RDSBackend, db_instance_identifier: str) -> DBInstance:
    return _started(self, _reboot(self, db_instance_identifier))


def _started(backend: RDSBackend, instance: DBInstance) -> DBInstance:
    """Note with which of its cluster's parameter groups an instance has started."""
    cluster = backend.clusters.get(instance.db_cluster_identifier or "")
    instance.started_with = cluster.parameter_group if cluster else None  # type: ignore[attr-defined] - ours
    return instance


def _db_cluster_members(self: DBCluster) -> list[JsonObject]:
    """Say of each member whether it runs with the cluster's parameter group, or has to be restarted for it."""
    members = _members(self)
    for member, instance in zip(members, self.members, strict=True):
        in_force = getattr(instance, "started_with", None) == self.parameter_group
        member["DBClusterParameterGroupStatus"] = "in-sync" if in_force else "pending-reboot"
    return members
