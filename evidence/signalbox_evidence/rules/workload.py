"""WRK: what runs, and how it is confined."""

import re
from collections.abc import Iterator

from signalbox_evidence.catalogue import Params
from signalbox_evidence.facts.compute import Container, Repository
from signalbox_evidence.facts.edge import Firewall
from signalbox_evidence.facts.keys import Key
from signalbox_evidence.facts.policy import ACCOUNT_SYMBOL
from signalbox_evidence.facts.world import Fact, World
from signalbox_evidence.finding import Attribute, Finding, expect, is_false, is_true

_TASK = "AWS::ECS::TaskDefinition"
_ASSOCIATION = "AWS::WAFv2::WebACLAssociation"
_REPOSITORY = "AWS::ECR::Repository"
_IMAGE = re.compile(r"(?P<account>\d{12}|\$\{AWS::AccountId\})\.dkr\.ecr\.[^/]+/[^@]+@sha256:[0-9a-f]{64}")
_NOT_ROOT = re.compile(r"[1-9]\d*(:[1-9]\d*)?")


def images_are_pinned(world: World, _: Params) -> Iterator[Finding]:
    own = {world.account, ACCOUNT_SYMBOL}
    for container in world.all(Container):
        attribute = Attribute(_TASK, "ContainerDefinitions.Image")

        def holds(image: str) -> bool:
            match = _IMAGE.fullmatch(image)
            return match is not None and match["account"] in own

        yield expect(container.subject, attribute, container.image, "own ECR repository, by sha256 digest", holds)


def containers_are_confined(world: World, _: Params) -> Iterator[Finding]:
    for container in world.all(Container):
        subject, path = container.subject, "ContainerDefinitions"
        user = Attribute(_TASK, f"{path}.User")
        yield expect(subject, user, container.user, "a number that is not 0", lambda it: bool(_NOT_ROOT.fullmatch(it)))
        yield expect(subject, Attribute(_TASK, f"{path}.Privileged"), container.privileged, "false", is_false)
        dropped = Attribute(_TASK, f"{path}.LinuxParameters.Capabilities.Drop")
        yield expect(subject, dropped, container.dropped, "ALL", lambda it: it == ("ALL",))
        disk = Attribute(_TASK, f"{path}.ReadonlyRootFilesystem")
        yield expect(subject, disk, container.read_only, "true", is_true)


def environment_holds_no_secret(world: World, _: Params) -> Iterator[Finding]:
    for container in world.all(Container):
        variables = container.environment
        found: Fact[list[str]]
        if isinstance(variables, tuple):
            found = [f"{variable.name}: {variable.resembles}" for variable in variables if variable.resembles]
        else:
            found = variables
        attribute = Attribute(_TASK, "ContainerDefinitions.Environment")
        yield expect(container.subject, attribute, found, "no value that looks like a secret", lambda it: not it)


def images_are_kept_well(world: World, _: Params) -> Iterator[Finding]:
    keys = {key.subject.id for key in world.all(Key)}
    for it in world.all(Repository):
        tags = Attribute(_REPOSITORY, "ImageTagMutability")
        yield expect(it.subject, tags, it.mutability, "IMMUTABLE", lambda found: found == "IMMUTABLE")
        scan = Attribute(_REPOSITORY, "ImageScanningConfiguration.ScanOnPush")
        yield expect(it.subject, scan, it.scanned, "true", is_true)
        key = Attribute(_REPOSITORY, "EncryptionConfiguration.KmsKey")
        yield expect(it.subject, key, it.key_id, "a key of this deployment", lambda found: found in keys)
        yield expect(it.subject, Attribute(_REPOSITORY, "LifecyclePolicy"), it.expires, "a lifecycle policy", is_true)


def edge_has_a_firewall(world: World, params: Params) -> Iterator[Finding]:
    wanted = set(params.words("rule_groups"))
    for firewall in world.all(Firewall):
        subject = firewall.load_balancer
        yield expect(subject, Attribute(_ASSOCIATION, "WebACLArn"), firewall.acl, "a web ACL", bool)
        if firewall.acl is not None:
            groups = Attribute("AWS::WAFv2::WebACL", "Rules.ManagedRuleGroupStatement")
            said = f"that block: {sorted(wanted)}"
            yield expect(subject, groups, firewall.groups, said, lambda it: wanted <= set(it))
            rate = Attribute("AWS::WAFv2::WebACL", "Rules.RateBasedStatement")
            yield expect(subject, rate, firewall.rate_limited, "floods of one address are blocked", is_true)


RULES = {
    "WRK-01": images_are_pinned,
    "WRK-02": containers_are_confined,
    "WRK-03": environment_holds_no_secret,
    "WRK-04": images_are_kept_well,
    "WRK-10": edge_has_a_firewall,
}
