"""Things to move with the mouse or the keyboard: thin wrappers of ipywidgets over `plots`.

A rendered page shows no widget, so every notebook draws the same picture once without it.
"""

import io
from collections.abc import Callable

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure


def explore(draw: Callable[..., Figure], **controls) -> ipywidgets.VBox:
    """A picture with a control for each of its arguments, drawn again when one is moved.

    Args:
        draw: makes the Figure from the controls' values.
        controls: by argument: (low, high, step) or (low, high, step, start) for a slider, a list
            for a menu, True or False for a box to tick. Underscores in names become spaces.

    Returns: the widget; display it as the last expression of a cell.
    """
    made = {name: _control(name, spec) for name, spec in controls.items()}
    picture = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%"))

    def show(_change=None) -> None:
        figure = draw(**{name: control.value for name, control in made.items()})
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        plt.close(figure)
        picture.value = buffer.getvalue()

    for control in made.values():
        control.observe(show, "value")
    show()
    return ipywidgets.VBox([*made.values(), picture])


def _control(name: str, spec) -> ipywidgets.Widget:
    words = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(spec, bool):
        return ipywidgets.Checkbox(value=spec, **words)
    if isinstance(spec, list):
        return ipywidgets.Dropdown(options=spec, **words)
    low, high, step, *start = spec
    kind = ipywidgets.IntSlider if all(isinstance(v, int) for v in spec) else (
        ipywidgets.FloatSlider)
    return kind(value=start[0] if start else low, min=low, max=high, step=step,
                continuous_update=False, layout=ipywidgets.Layout(width="100%", max_width="30em"),
                **words)
