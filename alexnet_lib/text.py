"""Names that come from files and folders, made safe to print: nothing in them moves the cursor."""

import contextlib
import errno
import html
import os
import re
import sys
from importlib import import_module

from tabulate import tabulate

from alexnet_lib.errors import UserError

# Control characters, line separators, marks that reverse the direction of writing, and the halves
# that stand for bytes that are no UTF-8.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

def printable(text: str) -> str:
    r"""`text` with control characters, and what is no Unicode, written as \x1b, \n or \udcff."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(line: str) -> None:
    """A line of progress: on stderr, above any progress bar; in a notebook, which would show that
    as an error, a widget."""
    if widgets := notebook_widgets():
        _show(widgets.HTML(f"<code>{html.escape(printable(line))}</code>"))
        return
    from tqdm import tqdm
    tqdm.write(fitting(printable(line), sys.stderr), file=sys.stderr)


def bar(*args, **options):
    """A progress bar of tqdm: on stderr, or a widget where this runs in a notebook."""
    from tqdm import tqdm
    if options.get("disable") or not notebook_widgets():
        return tqdm(*args, **options)
    from tqdm.notebook import tqdm_notebook
    made = tqdm_notebook(*args, display=False, **options)
    _show(made.container)
    return made


def notebook_widgets():
    """The module ipywidgets, where a notebook runs this and has it; else None."""
    shell = "IPython" in sys.modules and sys.modules["IPython"].get_ipython()
    with contextlib.suppress(ImportError):
        return import_module("ipywidgets") if hasattr(shell, "kernel") else None


def _show(widget) -> None:
    """Display it without the plain text that usually comes along: no two runs agree in that."""
    sys.modules["IPython"].get_ipython().display_pub.publish({
        "application/vnd.jupyter.widget-view+json": {
            "version_major": 2, "version_minor": 0, "model_id": widget.model_id}})


def table(rows, headers=(), **options) -> str:
    """What `tabulate` makes of rows and headers, with printable cells."""
    if not isinstance(headers, str):
        headers = [_cell(name) for name in headers]
    rows = [{key: _cell(value) for key, value in row.items()} if isinstance(row, dict) else
            [_cell(value) for value in row] for row in rows]
    return tabulate(rows, headers, **options)


def _cell(value):
    return printable(value) if isinstance(value, str) else value


def fitting(text: str, stream) -> str:
    """Lines that are printable, in letters that the stream can encode."""
    safe = "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return safe.encode(encoding, "backslashreplace").decode(encoding)


class Printable:
    """A text stream that makes all it writes `fitting`. Raises UserError if its disk is full."""

    buffer = None  # click would write past this

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if safe := fitting(text, self._stream):  # click tries a stream with nothing
            self._try(self._stream.write, safe)
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, call, *args) -> None:
        try:
            call(*args)
        except OSError as error:
            with contextlib.suppress(OSError):  # else Python tries, and complains, once more
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            if error.errno == errno.EPIPE:  # such as `| head`: click ends the command
                raise
            raise UserError(f"could not write the output: {error.strerror}; send it to another "
                            "place") from None
