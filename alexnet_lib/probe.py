"""Looking into a net: what its layers give while something runs through it."""

import contextlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import partial
from typing import Any

from torch import nn


@contextlib.contextmanager
def probe(layers: Mapping[Hashable, nn.Module],
          look: Callable[[nn.Module, tuple, Any], Any] = lambda layer, inputs, output: output,
          ) -> Iterator[dict]:
    """Within this context, a dict of what each layer gave last, under its key in `layers`.

    look: makes the entry from (layer, its positional inputs, its output), at the moment the layer
    has computed, before an in-place layer behind it changes the output. Entries come in the order
    of computation; a layer that the pass does not reach has none.
    """
    seen: dict = {}

    def note(key, layer, inputs, output) -> None:
        seen[key] = look(layer, inputs, output)

    handles = [layer.register_forward_hook(partial(note, key)) for key, layer in layers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
