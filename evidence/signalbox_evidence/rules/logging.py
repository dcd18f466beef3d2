"""LOG: what is written down, and what must not be."""

from collections.abc import Iterator

from signalbox_evidence.catalogue import Params
from signalbox_evidence.facts.database import QueryLog
from signalbox_evidence.facts.world import World
from signalbox_evidence.finding import Attribute, Finding, expect

_GROUP = "AWS::RDS::DBClusterParameterGroup"
_OFF = -1


def queries_keep_their_values(world: World, params: Params) -> Iterator[Finding]:
    least = params.number("slow_milliseconds")
    for log in world.all(QueryLog):
        statements = Attribute(_GROUP, "Parameters.log_statement")
        yield expect(log.cluster, statements, log.statements, "none or ddl", lambda it: it in ("none", "ddl"))
        slow = Attribute(_GROUP, "Parameters.log_min_duration_statement")
        wanted = f"-1, or {least} milliseconds at least"
        yield expect(log.cluster, slow, log.min_duration, wanted, lambda it: int(it) == _OFF or int(it) >= least)
        for name, value in (
            ("log_parameter_max_length", log.parameter_length),
            ("log_parameter_max_length_on_error", log.parameter_length_on_error),
        ):
            yield expect(log.cluster, Attribute(_GROUP, f"Parameters.{name}"), value, "0", lambda it: it == "0")


RULES = {
    "LOG-02": queries_keep_their_values,
}
