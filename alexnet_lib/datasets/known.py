"""Data known by their fingerprints: a result made with copies says so by name."""

_IMAGENETTE = ("imagenette", "Imagenette, copies of 224 px")
# fingerprint -> (the data that these are a copy of, what the copy is called)
COPIES = {"b2d47ac2be57b5f1": _IMAGENETTE,  # stored at 103 px
          "bfef4ea99277dd98": _IMAGENETTE,  # stored at 256 px
          "93b586ba8239ab9b": ("cifar10", "CIFAR-10, JPEG copies")}


def title(name: str, fingerprint: str) -> str:
    """What to call data where a result is shown: the name of a known copy, else their own name."""
    return COPIES[fingerprint][1] if fingerprint in COPIES else name


def signature(name: str, fingerprint: str) -> str:
    """What a record says of its data: name, fingerprint and, of a known copy, what it is called."""
    return ", ".join((name, f"fingerprint {fingerprint}", *COPIES.get(fingerprint, ())[1:]))


def title_of(data: str) -> str:
    """`title` of data by their `signature`."""
    name, told, rest = data.partition(", fingerprint ")
    return title(name, rest[:16]) if told else data


def other_copy(dataset, learned: str, mark: str | None) -> str | None:
    """A line for a net that meets another copy of the data it was trained on; None otherwise.

    dataset: that at hand. learned, mark: name and fingerprint of the training data. A folder that
    is not known has images of its own, so nothing is said of it.
    """
    def kind(name: str, fingerprint: str) -> str:
        return COPIES[fingerprint][0] if fingerprint in COPIES else name

    here = kind(dataset.name, dataset.fingerprint)
    if (mark is None or mark == dataset.fingerprint or here != kind(learned, mark)
            or here.startswith("folder:")):
        return None
    return (f"the net was trained on {signature(learned, mark)}, not on these copies "
            f"({signature(dataset.name, dataset.fingerprint)}): its error may differ a little")
