"""Whether what a file holds has the shape that its reader expects: one check for all files."""

import dataclasses
import json
import numbers
import types
import typing

from alexnet_lib.old_names import renamed

WORDS = {int: "a whole number below 2**63", float: "a number", str: "text", bool: "true or false",
         list: "a list", tuple: "a list", dict: "an object", types.NoneType: "empty"}


def parse(text: str | bytes) -> typing.Any:
    """The value of a JSON text, with names of earlier versions as they are today.

    Raises ValueError, also if the text is nested too deeply.
    """
    try:
        return json.loads(text, object_hook=renamed)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def misfit(value, kind, name: str = "it") -> str | None:
    """What is wrong with `value`, such as "history.0.lr must be a number"; None if nothing is.

    kind: a type annotation made of numbers, str, bool, None, lists, tuples, dicts and unions; a
    dataclass, for a dict that has no other names than its fields; or a dict of kinds, for a dict
    that has these names and perhaps others. A name with a "?" at its end may be missing.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        faults = [misfit(value, one, name) for one in args]
        return None if None in faults else faults[0]
    named = isinstance(kind, dict) or dataclasses.is_dataclass(kind)
    plain = dict if named else origin or kind
    if not _is(value, plain):
        return f"{name} must be {WORDS.get(plain, plain.__name__)}"
    if isinstance(kind, dict):
        inner = {key.rstrip("?"): one for key, one in kind.items()
                 if key.rstrip("?") in value or not key.endswith("?")}
    elif named:
        hints = typing.get_type_hints(kind)
        inner = {key: hints.get(key) for key in value}
    elif plain is dict:
        inner = dict.fromkeys(value, args[1]) if args else {}
    elif plain in (list, tuple) and args:
        some = plain is list or args[-1] is Ellipsis
        if not some and len(value) != len(args):
            return f"{name} must have {len(args)} values"
        value = dict(enumerate(value))
        inner = dict.fromkeys(value, args[0]) if some else dict(enumerate(args))
    else:
        return None
    for key, one in inner.items():
        told = str(key) if name == "it" else f"{name}.{key}"
        if key not in value:
            return f"{told} is missing"
        if one is None:
            return f"{told} is unknown"
        if fault := misfit(value[key], one, told):
            return fault
    return None


def _is(value, kind: type) -> bool:
    if kind in (int, float):  # a bool is an int to Python; no tensor takes more than 64 bits
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return (-2**63 <= value < 2**63 if whole else
                kind is float and isinstance(value, numbers.Real) and not isinstance(value, bool))
    return isinstance(value, (list, tuple) if kind in (list, tuple) else kind)
