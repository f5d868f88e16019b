"""What earlier versions called some choices and data, whose files and commands are still read."""

NAMES = {"colour": "color", "colour_until": "color_until", "colour_values": "color_values",
         "colour_vectors": "color_vectors"}
VALUES = {("mean_at", "centre"): "center"}


def renamed(values: dict) -> dict:
    """The same values under the names of today."""
    found = {NAMES.get(name, name): value for name, value in values.items()}
    for (name, old), new in VALUES.items():
        if found.get(name) == old:
            found[name] = new
    return found


def renamed_tensor(name: str) -> str:
    """The name of today of a tensor in a checkpoint, such as "data.mean"."""
    place, dot, last = name.rpartition(".")
    return place + dot + (NAMES.get(last, last) if place == "data" else last)


def renamed_option(word: str) -> str:
    """A word of a command line, with the name of today if it is an option: "--color"."""
    option, equals, value = word.partition("=")
    name = option[2:].replace("-", "_")
    if not option.startswith("--") or name not in NAMES:
        return word
    return f"--{NAMES[name].replace('_', '-')}{equals}{value}"
