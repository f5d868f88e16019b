"""What earlier versions called some choices and data, whose files and commands are still read."""

NAMES = {  # of choices, so of fields, options and arguments
    "colour": "color", "colour_until": "color_until", "talk": "connect_columns",
    "maps": "channels", "start": "init_from", "per": "crop_group_size",
    "divide": "input_divisor", "without": "omit_layer", "schedule": "lr_scheduler"}
VALUES = {("mean_at", "centre"): "center"}
CONFIGS = ("config", "net")  # under these names, files hold the choices of a run
DATA = {"colour_values": "color_values", "colour_vectors": "color_vectors"}  # and tensors
RUN = {"rates": "lr_scheduler", "mistakes": "num_errors"}  # of a checkpoint, beside its config


def renamed(values: dict) -> dict:
    """A JSON object under the names of today. Choices are known by the place where they stand:
    elsewhere, their old names may be those of a class.
    """
    names = DATA | (RUN if "config" in values else {})
    found = {names.get(name, name): value for name, value in values.items()}
    return found | {name: renamed_choices(found[name]) for name in CONFIGS
                    if isinstance(found.get(name), dict)}


def renamed_choices(values: dict) -> dict:
    """Choices under the names of today, with the values of today."""
    found = {NAMES.get(name, name): value for name, value in values.items()}
    for (name, old), new in VALUES.items():
        if found.get(name) == old:
            found[name] = new
    return found


def renamed_tensor(name: str) -> str:
    """The name of today of a tensor in a checkpoint, such as "data.mean"."""
    place, dot, last = name.rpartition(".")
    return place + dot + {"data": DATA, "run": RUN}.get(place, {}).get(last, last)


def renamed_option(word: str) -> str:
    """A word of a command line, with the name of today if it is an option: "--no-talk"."""
    option, equals, value = word.partition("=")
    no = "no-" if option.startswith("--no-") else ""
    name = option.removeprefix(f"--{no}").replace("-", "_")
    if not option.startswith("--") or name not in NAMES:
        return word
    return f"--{no}{NAMES[name].replace('_', '-')}{equals}{value}"
