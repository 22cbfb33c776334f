"""Typed attributes: extra facts about a stream, looked up by a key that carries their type.

Owns the keys (`typed_attribute`), the classes that group them (`TypedAttributeSet`) and the look-up
(`TypedAttributeProvider.extra`). Knows no stream, no socket and no event loop.

Rules
-----
* A key is a unique object, compared by identity. Its type is that of its annotation in the set.
* A provider that wraps another adds the inner one's mapping to its own, its own keys winning.
* Values come from callables, so a fact that costs something is worked out only when asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any, TypeVar, final, overload

from .._exceptions import TypedAttributeLookupError

T_Attr = TypeVar("T_Attr")
T_Default = TypeVar("T_Default")

_undefined = object()


def typed_attribute() -> Any:
    """Return a new unique key, to be given a name and a type in a `TypedAttributeSet`.

    ```python
    from creche import TypedAttributeSet, typed_attribute


    class CourierAttribute(TypedAttributeSet):
        parcels: int = typed_attribute()
    ```
    """
    return object()


def _annotated_names(cls: type) -> Collection[str]:
    """Return the names that have an annotation in the class itself, not in a base.

    From Python 3.14 on annotations are evaluated when they are asked for. Then it may turn out that a type
    was imported for type checkers only; and the class is given a new private name.
    """
    try:
        return cls.__annotations__.keys()
    except NameError:
        lib: Any = import_module("annotationlib")
        names: dict[str, Any] = lib.get_annotations(cls, format=lib.Format.FORWARDREF)
        return names.keys()


class TypedAttributeSet:
    """Base class for collections of typed attributes.

    Making a subclass raises TypeError if one of its public attributes has no type annotation.
    """

    def __init_subclass__(cls) -> None:
        annotated = _annotated_names(cls)
        for name in vars(cls):
            if not name.startswith("_") and name not in annotated:
                raise TypeError(
                    f"Attribute {name!r} is missing its type annotation: "
                    f"write '{name}: TYPE = typed_attribute()' in class {cls.__qualname__}"
                )
        super().__init_subclass__()


class TypedAttributeProvider:
    """Base class for objects that answer `extra(key)`."""

    __slots__ = ()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """A mapping of the keys this object knows to callables that return their values.

        An object that wraps another provider includes the inner mapping, and may override it.
        """
        return {}

    @overload
    def extra(self, attribute: T_Attr) -> T_Attr: ...

    @overload
    def extra(self, attribute: T_Attr, default: T_Default) -> T_Attr | T_Default: ...

    @final
    def extra(self, attribute: Any, default: object = _undefined) -> object:
        """Return the value of one typed attribute. Never waits.

        :param attribute: the key, a member of some `TypedAttributeSet`
        :param default: what to return if neither this object nor what it wraps has the attribute
        :raises TypedAttributeLookupError: there is no such attribute, and no default was given
        """
        getter = self.extra_attributes.get(attribute)
        if getter is not None:
            return getter()
        if default is _undefined:
            raise TypedAttributeLookupError(
                f"Attribute not found: {type(self).__name__} does not have it, "
                "nor does what it wraps; pass a default to extra() if that is expected"
            )
        return default
