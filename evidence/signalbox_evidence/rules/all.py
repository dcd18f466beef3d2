"""Every rule by the id of its control."""

from collections.abc import Callable, Iterator

from signalbox_evidence.catalogue import Params
from signalbox_evidence.facts.world import World
from signalbox_evidence.finding import Finding
from signalbox_evidence.rules import data, identity, logging, network, recovery, transport, workload

Rule = Callable[[World, Params], Iterator[Finding]]

RULES: dict[str, Rule] = {
    **data.RULES,
    **identity.RULES,
    **logging.RULES,
    **network.RULES,
    **recovery.RULES,
    **transport.RULES,
    **workload.RULES,
}
