"""Typed attributes: keys, sets, and looking values up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from creche import (
    TypedAttributeLookupError,
    TypedAttributeProvider,
    TypedAttributeSet,
    typed_attribute,
)


class Courier(TypedAttributeSet):
    parcels: int = typed_attribute()
    name: str | None = typed_attribute()
    broken: int = typed_attribute()
    _private = typed_attribute()


class Bicycle(TypedAttributeProvider):
    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {Courier.parcels: lambda: 3, Courier.name: lambda: None, Courier.broken: self.fail}

    def fail(self) -> int:
        raise KeyError("of its own")


def test_each_key_is_unique() -> None:
    assert typed_attribute() != typed_attribute()
    assert len({Courier.parcels, Courier.name, Courier.broken}) == 3


def test_a_public_attribute_without_a_type_is_an_error() -> None:
    with pytest.raises(TypeError, match="Attribute 'parcels' is missing its type annotation"):

        class Untyped(TypedAttributeSet):
            parcels = typed_attribute()


def test_a_set_inherits_the_attributes_of_its_base() -> None:
    class Express(Courier):
        speed: float = typed_attribute()

    assert Express.parcels is Courier.parcels


def test_extra_returns_the_value_of_an_attribute() -> None:
    assert Bicycle().extra(Courier.parcels) == 3


def test_extra_prefers_the_value_to_the_default() -> None:
    assert Bicycle().extra(Courier.parcels, 5) == 3
    assert Bicycle().extra(Courier.name, "nobody") is None


def test_extra_returns_the_default_if_there_is_no_such_attribute() -> None:
    assert TypedAttributeProvider().extra(Courier.parcels, None) is None


def test_extra_without_a_default_raises_if_there_is_no_such_attribute() -> None:
    with pytest.raises(TypedAttributeLookupError, match="Attribute not found: Bicycle does not"):
        Bicycle().extra(typed_attribute())


def test_an_error_in_working_out_a_value_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError, match="of its own"):
        Bicycle().extra(Courier.broken, 5)


def test_a_provider_has_no_attributes_of_its_own() -> None:
    assert TypedAttributeProvider().extra_attributes == {}
