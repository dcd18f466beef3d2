"""DAT: data at rest and its keys."""

from collections.abc import Iterator

from signalbox_evidence.catalogue import Mode, Params
from signalbox_evidence.facts.backup import Snapshot, Vault
from signalbox_evidence.facts.database import Cluster
from signalbox_evidence.facts.keys import Key, KeyDeletion, KeyPolicy, KeyRotation
from signalbox_evidence.facts.policy import ACCOUNT_SYMBOL, Principal, Statement
from signalbox_evidence.facts.storage import (
    ACCESS_LOGS,
    DATA_CLASSES,
    RECORDS,
    BucketAccess,
    BucketEncryption,
    BucketLock,
    LogGroup,
    StorePolicy,
)
from signalbox_evidence.facts.world import Fact, Subject, World
from signalbox_evidence.finding import Attribute, Finding, expect, is_true

_BACKUP_VAULT = "AWS::Backup::BackupVault"
_BUCKET = "AWS::S3::Bucket"
_CLUSTER = "AWS::RDS::DBCluster"
_KEY = "AWS::KMS::Key"
_OWNED = "BucketOwnerEnforced"

# conditions that tie an anonymous principal to this account or to a service acting for it
_TIES = {
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:principalaccount",
    "aws:principalarn",
    "kms:calleraccount",
    "kms:viaservice",
}


def cluster_is_encrypted(world: World, _: Params) -> Iterator[Finding]:
    for cluster in world.all(Cluster):
        yield expect(cluster.subject, Attribute(_CLUSTER, "StorageEncrypted"), cluster.encrypted, "true", is_true)


def cluster_uses_own_key(world: World, _: Params) -> Iterator[Finding]:
    keys = {key.subject.id: key for key in world.all(Key)}
    for cluster in world.all(Cluster):
        attribute = Attribute(_CLUSTER, "KmsKeyId")
        yield expect(cluster.subject, attribute, cluster.key_id, "a key of this deployment", lambda key: key in keys)
        key = keys.get(cluster.key_id) if isinstance(cluster.key_id, str) else None
        if key:
            yield expect(
                key.subject, Attribute(_KEY, "KeyManager"), key.manager, "CUSTOMER", lambda it: it == "CUSTOMER"
            )
            yield expect(key.subject, Attribute(_KEY, "Enabled"), key.state, "Enabled", lambda it: it == "Enabled")


def keys_rotate(world: World, params: Params) -> Iterator[Finding]:
    low, high = params.number("min_days"), params.number("max_days")
    for rotation in world.all(KeyRotation):
        yield expect(rotation.key, Attribute(_KEY, "EnableKeyRotation"), rotation.on, "true", is_true)
        yield expect(
            rotation.key,
            Attribute(_KEY, "RotationPeriodInDays"),
            rotation.period_days,
            f"{low} to {high} days",
            lambda days: low <= days <= high,
        )


def _unbound(statement: Statement) -> bool:
    anonymous = any(principal.value == "*" for principal in statement.principals)
    return statement.allow and (anonymous or statement.not_principal) and not statement.condition_keys & _TIES


def _masters(statements: tuple[Statement, ...]) -> list[str]:
    """Principals that may both change the policy of a key and use it, apart from the account root."""
    powers: dict[str, set[str]] = {}
    for statement in statements:
        for principal in statement.principals:
            if principal.kind == "AWS" and not principal.is_account_root:
                for action in ("kms:PutKeyPolicy", "kms:Decrypt"):
                    if statement.grants(action):
                        powers.setdefault(principal.value, set()).add(action)
    return sorted(name for name, actions in powers.items() if len(actions) > 1)


def key_policies_are_tight(world: World, _: Params) -> Iterator[Finding]:
    attribute = Attribute(_KEY, "KeyPolicy")
    for policy in world.all(KeyPolicy):
        statements = policy.statements
        open_to_all: Fact[list[str]]
        masters: Fact[list[str]]
        if isinstance(statements, tuple):
            open_to_all = [statement.title for statement in statements if _unbound(statement)]
            masters = _masters(statements)
        else:
            open_to_all = masters = statements
        yield expect(policy.key, attribute, open_to_all, "no statement allows any principal unconditionally", _empty)
        yield expect(policy.key, attribute, masters, "no principal both administers and uses the key", _empty)


def keys_are_kept(world: World, params: Params) -> Iterator[Finding]:
    if world.mode is Mode.LIVE:
        for key in world.all(Key):
            wanted = "not PendingDeletion"
            yield expect(
                key.subject, Attribute(_KEY, "KeyState"), key.state, wanted, lambda it: it != "PendingDeletion"
            )
        return
    days = params.number("window_days")
    for deletion in world.all(KeyDeletion):
        yield expect(
            deletion.key,
            Attribute(_KEY, "PendingWindowInDays"),
            deletion.window_days,
            f"{days} days",
            lambda it: it == days,
        )
        # a Retain policy belongs to BCP-10 too; here it guards the key itself against the loss of all that it encrypts
        yield expect(deletion.key, Attribute(_KEY, "DeletionPolicy"), deletion.on_delete, "Retain", _retained)
        yield expect(deletion.key, Attribute(_KEY, "UpdateReplacePolicy"), deletion.on_replace, "Retain", _retained)


def _retained(policy: str) -> bool:
    return policy == "Retain"


def _empty(items: list[str]) -> bool:
    return not items


def log_groups_are_encrypted(world: World, _: Params) -> Iterator[Finding]:
    for group in world.all(LogGroup):
        attribute = Attribute("AWS::Logs::LogGroup", "KmsKeyId")
        yield expect(group.subject, attribute, group.key_id, "a customer-managed key", bool)


def buckets_block_public_access(world: World, _: Params) -> Iterator[Finding]:
    for access in world.all(BucketAccess):
        blocks = {
            "BlockPublicAcls": access.block_public_acls,
            "BlockPublicPolicy": access.block_public_policy,
            "IgnorePublicAcls": access.ignore_public_acls,
            "RestrictPublicBuckets": access.restrict_public_buckets,
        }
        for name, value in blocks.items():
            attribute = Attribute(_BUCKET, f"PublicAccessBlockConfiguration.{name}")
            yield expect(access.bucket, attribute, value, "true", is_true)
        owner = Attribute(_BUCKET, "OwnershipControls")
        yield expect(access.bucket, owner, access.ownership, _OWNED, lambda it: it == _OWNED)


def _says_what_it_keeps(bucket: Subject, data_class: Fact[str]) -> Finding:
    wanted = f"a tag data-class, one of {list(DATA_CLASSES)}"
    return expect(bucket, Attribute(_BUCKET, "Tags"), data_class, wanted, lambda it: it in DATA_CLASSES)


def buckets_are_encrypted_and_versioned(world: World, _: Params) -> Iterator[Finding]:
    keys = {key.subject.id for key in world.all(Key)}
    for it in world.all(BucketEncryption):
        yield _says_what_it_keeps(it.bucket, it.data_class)
        allowed = ("aws:kms", "AES256") if it.data_class == ACCESS_LOGS else ("aws:kms",)
        algorithm = Attribute(_BUCKET, "BucketEncryption.SSEAlgorithm")
        yield expect(
            it.bucket, algorithm, it.algorithm, " or ".join(allowed), lambda found, all_=allowed: found in all_
        )
        if it.algorithm == "aws:kms":
            key = Attribute(_BUCKET, "BucketEncryption.KMSMasterKeyID")
            yield expect(it.bucket, key, it.key_id, "a key of this deployment", lambda found: found in keys)
        versions = Attribute(_BUCKET, "VersioningConfiguration.Status")
        yield expect(it.bucket, versions, it.versioning, "Enabled", lambda found: found == "Enabled")


def records_are_locked(world: World, params: Params) -> Iterator[Finding]:
    days = params.number("lock_days")
    locks = world.all(BucketLock)
    if not any(lock.data_class == RECORDS for lock in locks):
        return
    for lock in locks:
        yield _says_what_it_keeps(lock.bucket, lock.data_class)
        if lock.data_class == RECORDS:
            retention = "ObjectLockConfiguration.Rule.DefaultRetention"
            mode = Attribute(_BUCKET, f"{retention}.Mode")
            yield expect(lock.bucket, mode, lock.mode, "COMPLIANCE", lambda it: it == "COMPLIANCE")
            wanted = f"at least {days} days"
            yield expect(lock.bucket, Attribute(_BUCKET, f"{retention}.Days"), lock.days, wanted, lambda it: it >= days)


def _refuses(statements: tuple[Statement, ...], condition: str) -> bool:
    return any(
        not it.allow
        and condition in it.condition_keys
        and any(principal.value == "*" for principal in it.principals)
        and it.actions == ("s3:*",)
        and not it.not_action
        for it in statements
    )


def buckets_refuse_plain_text(world: World, _: Params) -> Iterator[Finding]:
    for policy in world.all(StorePolicy):
        if policy.store.type != _BUCKET:
            continue
        statements = policy.statements
        missing: Fact[list[str]]
        if isinstance(statements, tuple):
            missing = [name for name in ("aws:securetransport", "s3:tlsversion") if not _refuses(statements, name)]
        else:
            missing = statements
        attribute = Attribute("AWS::S3::BucketPolicy", "PolicyDocument")
        yield expect(policy.store, attribute, missing, "everybody is refused without TLS, and below TLS 1.2", _empty)


def backups_are_ours_alone(world: World, _: Params) -> Iterator[Finding]:
    keys = {key.subject.id for key in world.all(Key)}
    for vault in world.all(Vault):
        attribute = Attribute(_BACKUP_VAULT, "EncryptionKeyArn")
        yield expect(vault.subject, attribute, vault.key_id, "a key of this deployment", lambda it: it in keys)
    if world.mode is Mode.LIVE:
        for snapshot in world.all(Snapshot):
            encrypted = Attribute(snapshot.subject.type, "StorageEncrypted")
            yield expect(snapshot.subject, encrypted, snapshot.encrypted, "true", is_true)
            key = Attribute(snapshot.subject.type, "KmsKeyId")
            yield expect(snapshot.subject, key, snapshot.key_id, "a key of this deployment", lambda it: it in keys)
            shared = Attribute(snapshot.subject.type, "restore")
            yield expect(snapshot.subject, shared, snapshot.shared_with, "nobody else", lambda it: not it)


def _is_foreign(principal: Principal, statement: Statement, own: set[str]) -> bool:
    if principal.kind == "Service":
        return False
    if principal.is_within_template:
        return False
    if principal.value == "*":
        return not statement.condition_keys & _TIES
    return principal.account not in own


def _foreign(statements: tuple[Statement, ...], own: set[str]) -> list[str]:
    return sorted(
        {
            principal.value
            for statement in statements
            if statement.allow
            for principal in statement.principals
            if statement.not_principal or _is_foreign(principal, statement, own)
        }
    )


def no_foreign_principals(world: World, params: Params) -> Iterator[Finding]:
    own = {world.account, ACCOUNT_SYMBOL, *params.words("trusted_accounts")}
    policies: list[tuple[Subject, str, Fact[tuple[Statement, ...]]]] = [
        (policy.store, "AccessPolicy" if policy.store.type == _BACKUP_VAULT else "Policy", policy.statements)
        for policy in world.all(StorePolicy)
    ]
    policies += [(policy.key, "KeyPolicy", policy.statements) for policy in world.all(KeyPolicy)]
    for subject, name, statements in policies:
        foreign: Fact[list[str]] = _foreign(statements, own) if isinstance(statements, tuple) else statements
        yield expect(subject, Attribute(subject.type, name), foreign, "no principal of another account", _empty)


RULES = {
    "DAT-01": cluster_is_encrypted,
    "DAT-02": cluster_uses_own_key,
    "DAT-03": keys_rotate,
    "DAT-04": key_policies_are_tight,
    "DAT-05": keys_are_kept,
    "DAT-08": log_groups_are_encrypted,
    "DAT-09": buckets_are_encrypted_and_versioned,
    "DAT-10": buckets_block_public_access,
    "DAT-11": buckets_refuse_plain_text,
    "DAT-12": no_foreign_principals,
    "DAT-13": records_are_locked,
    "DAT-14": backups_are_ours_alone,
}
