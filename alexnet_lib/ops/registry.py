"""Registering functions with PyTorch as the operators `torch.ops.alexnet`.

`torch.library.custom_op` would do, but imports the compiler at the first call: 160 MB of memory
and some seconds, which a program that only looks at images need not spend.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch

LIBRARY = torch.library.Library("alexnet", "FRAGMENT")
TAGS = (torch.Tag.pt2_compliant_tag, torch.Tag.needs_fixed_stride_order)


def operator(schema: str, key: str = "CompositeExplicitAutograd") -> Callable[[Callable], Any]:
    """Decorator: the function becomes the operator `torch.ops.alexnet.NAME`, called by its name.

    schema: "(arguments) -> results" in PyTorch's notation. key: the device, "CPU", if it is for
    that alone. The result has `overload`, the operator itself, and takes what completes it:
    `register_fake`, `register_autograd`, `register_vmap`, as `torch.library` describes them.
    """
    def register(function: Callable) -> Any:
        name = function.__name__
        LIBRARY.define(name + schema, tags=TAGS)
        LIBRARY.impl(name, function, key)
        overload = getattr(torch.ops.alexnet, name).default

        @functools.wraps(function)
        def call(*args, **kwargs):
            return overload(*args, **kwargs)

        call.overload = overload  # type: ignore[attr-defined]
        for part in ("register_fake", "register_autograd", "register_vmap"):
            setattr(call, part, functools.partial(getattr(torch.library, part),
                                                  f"alexnet::{name}", lib=LIBRARY))
        return call
    return register
