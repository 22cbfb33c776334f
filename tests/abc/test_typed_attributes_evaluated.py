"""Typed attributes in a module whose annotations are no strings: one without the future import.

On Python 3.14 and later they are evaluated when somebody asks for them, and not before.
"""

import sys
from typing import TYPE_CHECKING

import pytest

from creche import TypedAttributeSet, typed_attribute

if TYPE_CHECKING:
    from decimal import Decimal  # noqa: TC004  # as programs have it


def test_a_set_may_be_made() -> None:
    class Courier(TypedAttributeSet):
        parcels: int = typed_attribute()
        name: str | None = typed_attribute()

    assert {Courier.parcels, Courier.name} == {*map(vars(Courier).get, ("parcels", "name"))}
    assert Courier.__annotations__ == {"parcels": int, "name": str | None}


def test_a_public_attribute_without_a_type_is_an_error() -> None:
    with pytest.raises(TypeError, match="Attribute 'parcels' is missing its type annotation"):

        class Courier(TypedAttributeSet):
            name: str = typed_attribute()
            parcels = typed_attribute()


def test_the_annotation_of_a_base_is_not_enough() -> None:
    class Courier(TypedAttributeSet):
        parcels: int = typed_attribute()

    with pytest.raises(TypeError, match="parcels"):

        class Bicycle(Courier):
            parcels = typed_attribute()


@pytest.mark.skipif(
    sys.version_info < (3, 14), reason="a name that is not there is an error before"
)
def test_a_type_may_be_imported_for_type_checkers_only() -> None:
    class Courier(TypedAttributeSet):
        price: Decimal = typed_attribute()
        name: str = typed_attribute()

    assert Courier.price != Courier.name
    with pytest.raises(TypeError, match="parcels"):

        class Bicycle(TypedAttributeSet):
            price: Decimal = typed_attribute()
            parcels = typed_attribute()
