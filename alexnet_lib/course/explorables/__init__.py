"""Pictures that move under the finger, drawn in the browser: one idea, one ES module each.

A module exports `render({model, el})`, as anywidget wants it. In a notebook `show` gives it a
kernel; on the site the same file runs without one. All of them share `shared.js`.
"""

import base64
import html
import io
import json
import re
from functools import cache
from pathlib import Path

import anywidget
import traitlets
from PIL import Image

HERE = Path(__file__).parent
NAMES = sorted(file.stem for file in HERE.glob("*.js") if file.stem != "shared")
WORDS = "Here is something to move once this cell has run. It starts with the picture above."


class Explorable(anywidget.AnyWidget):
    """A picture to move; its attributes are the state, of which the browser tells the kernel."""

    _esm = ""
    explorable = ""

    def __repr__(self) -> str:
        return WORDS

    def _repr_mimebundle_(self, **kwargs):
        """The widget and, for pages without a kernel, the place where the site draws it."""
        bundle = super()._repr_mimebundle_(**kwargs) or {"text/plain": WORDS}
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        state = {name: getattr(self, name) for name in self.state}
        data["text/plain"] = WORDS
        data["text/html"] = (f'<div class="explorable" data-name="{self.explorable}" '
                             f'data-state="{html.escape(json.dumps(state))}">{WORDS}</div>')
        return data, metadata


def module(name: str) -> str:
    """The source of an explorable as one module, without imports: a kernel has no files to give."""
    shared = (HERE / "shared.js").read_text().replace("export function", "function")
    own = re.sub(r'^import \{[^}]*\} from "./shared.js";\n', "", (HERE / f"{name}.js").read_text(),
                 flags=re.MULTILINE)
    return shared + own


@cache
def _kind(name: str, names: tuple[str, ...]) -> type[Explorable]:
    traits = {key: traitlets.Any().tag(sync=True) for key in names}
    return type(f"Explorable_{name}", (Explorable,),
                {"_esm": module(name), "explorable": name, "state": names, **traits})


def picture(image) -> str:
    """An image, (rows, columns, 3) uint8, as a browser's address of a picture."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def show(name: str, **state) -> Explorable:
    """An explorable; display it as the last expression of a cell.

    Args:
        name: one of NAMES.
        state: where it starts, for what is not to start as its module says: numbers or lists.
    """
    if name not in NAMES:
        raise ValueError(f"no explorable {name!r}: there are {', '.join(NAMES)}")
    _welcome_widgets()
    return _kind(name, tuple(state))(**state)


def _welcome_widgets() -> None:
    """Colab shows widgets of other makers only when asked."""
    try:
        from google.colab import output
    except ImportError:
        return
    output.enable_custom_widget_manager()
