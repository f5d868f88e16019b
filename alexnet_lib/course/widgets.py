"""Things to move with the mouse or the keyboard: thin wrappers of ipywidgets over `plots`.

A rendered page shows no widget, so every notebook draws the same picture once without it, and
words stand where the controls would.
"""

from collections.abc import Callable

import ipywidgets
from matplotlib.figure import Figure

from alexnet_lib.course.plots import as_html


class Controls(ipywidgets.VBox):
    """A column of controls; its words are shown where no kernel is: before a run, on the site."""

    words = "Controls stand here once this cell has run. They begin with the picture above."

    def __repr__(self) -> str:
        return self.words  # which ipywidgets stores as the plain text beside the widget


def explore(draw: Callable[..., Figure], text: str,
            most: dict[str, Callable[..., int]] | None = None, **controls) -> Controls:
    """A picture with a control for each of its arguments, drawn again when one is moved.

    Args:
        draw: makes the Figure from the controls' values.
        text: what it shows, for those who cannot see it; the controls' values are added.
        most: by slider, its highest value as a function of all other controls' values.
        controls: by argument: (low, high, step) or (low, high, step, start) for a slider, a list
            or (list, start) for a menu, True or False for a box to tick. Underscores in names
            become spaces.

    Returns: the widget; display it as the last expression of a cell.
    """
    made = {name: _control(name, spec) for name, spec in controls.items()}
    picture, shown = ipywidgets.HTML(), {}

    def show(_change=None) -> None:
        limit(made, most or {})  # a slider that this moves has drawn the picture already
        values = {name: control.value for name, control in made.items()}
        if values != shown:
            picture.value = as_html(draw(**values), f"{text}: {_words(made)}")
            shown.update(values)

    for control in made.values():
        control.observe(show, "value")
    show()
    return Controls([*made.values(), picture])


def limit(made: dict[str, ipywidgets.Widget], most: dict[str, Callable[..., int]]) -> None:
    """Let each slider in `most` end where the other controls' values say."""
    for name, highest in most.items():
        made[name].max = highest(**{other: control.value for other, control in made.items()
                                    if other != name})


def _words(made: dict[str, ipywidgets.Widget]) -> str:
    return ", ".join(f"{control.description} {control.value}" for control in made.values())


def _control(name: str, spec) -> ipywidgets.Widget:
    words = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(spec, bool):
        return ipywidgets.Checkbox(value=spec, **words)
    if isinstance(spec, list):
        spec = spec, spec[0]
    if isinstance(spec[0], list):
        return ipywidgets.Dropdown(options=spec[0], value=spec[1], **words)
    low, high, step, *start = spec
    kind = ipywidgets.IntSlider if all(isinstance(v, int) for v in spec) else (
        ipywidgets.FloatSlider)
    return kind(value=start[0] if start else low, min=low, max=high, step=step,
                continuous_update=False, layout=ipywidgets.Layout(width="100%", max_width="30em"),
                **words)
