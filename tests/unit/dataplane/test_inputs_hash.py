from __future__ import annotations

import pytest
from flyteidl2.core.literals_pb2 import Literal, Primitive, Scalar
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral

from signalbox_dataplane.dataproxy.uploads import fnv64a, hash_inputs


@pytest.mark.parametrize(
    ("text", "value"), [(b"", 0xCBF29CE484222325), (b"a", 0xAF63DC4C8601EC8C), (b"foobar", 0x85944171F73967E8)]
)
def test_the_hash_is_that_of_the_fnv_reference(text: bytes, value: int) -> None:
    """Vectors of draft-eastlake-fnv, appendix C."""
    assert fnv64a(text) == value


def test_the_hash_of_inputs_is_unpadded_base64url() -> None:
    assert hash_inputs(Inputs(), set()) == "y_Kc5IQiIyU"


def test_order_of_inputs_counts_and_ignored_ones_do_not() -> None:
    def named(name: str, number: int) -> NamedLiteral:
        return NamedLiteral(name=name, value=Literal(scalar=Scalar(primitive=Primitive(integer=number))))

    both = Inputs(literals=[named("a", 1), named("b", 2)])

    assert hash_inputs(both, {"b"}) == hash_inputs(Inputs(literals=[named("a", 1), named("b", 3)]), {"b"})
    assert hash_inputs(both, set()) != hash_inputs(both, {"b"})
    assert hash_inputs(both, set()) != hash_inputs(Inputs(literals=[named("b", 2), named("a", 1)]), set())
