"""Data known by their fingerprints: a result made with copies says so by name."""

# fingerprint -> (the data that these are a copy of, what the copy is called)
COPIES = {
    "b2d47ac2be57b5f1": ("imagenette", "Imagenette, copies of 224 px"),  # stored at 103 px
    "bfef4ea99277dd98": ("imagenette", "Imagenette, copies of 224 px"),  # stored at 256 px
    "f81fa071411e92a1": ("imagenette", "Imagenette, copies of 224 px"),  # its training photographs
    "93b586ba8239ab9b": ("cifar10", "CIFAR-10, JPEG copies"),
}


def title(name: str, fingerprint: str) -> str:
    """What to call data where a result is shown: the name of a known copy, else their own name."""
    return COPIES[fingerprint][1] if fingerprint in COPIES else name


def signature(name: str, fingerprint: str) -> str:
    """What a record says of its data: name, fingerprint and, of a known copy, what it is called."""
    copy = f", {COPIES[fingerprint][1]}" if fingerprint in COPIES else ""
    return f"{name}, fingerprint {fingerprint}{copy}"


def title_of(data: str) -> str:
    """`title` of data by their `signature`."""
    name, told, rest = data.partition(", fingerprint ")
    return title(name, rest[:16]) if told else data


def other_copy(name: str, fingerprint: str, learned: str, learned_mark: str) -> str | None:
    """A line for a net that meets another copy of the data it was trained on; None otherwise.

    name, fingerprint: of the data at hand; learned, learned_mark: of those of its training. A
    folder that is not known has images of its own, so nothing is said of it.
    """
    def original(name: str, mark: str) -> str:
        return COPIES[mark][0] if mark in COPIES else name

    same = original(name, fingerprint) == original(learned, learned_mark)
    if not same or fingerprint == learned_mark or original(name, fingerprint).startswith("folder:"):
        return None
    return (f"the net was trained on {title(learned, learned_mark)} (fingerprint {learned_mark}), "
            f"and this is another copy, {title(name, fingerprint)} (fingerprint {fingerprint}): "
            "the error may differ a little")
