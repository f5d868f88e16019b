"""Explorables as Python gives them to a page; what they draw is for tests/browser."""

import html
import json
import re

import pytest

from alexnet_lib.course import explorables


@pytest.mark.parametrize("name", explorables.NAMES)
def test_a_module_is_whole(name):
    """A kernel sends one text: nothing is imported, everything that is shared is in it once."""
    source = explorables.module(name)
    assert "import " not in re.sub(r"//.*|/\*.*?\*/", "", source, flags=re.DOTALL)
    assert source.count("export ") == source.count("export default") == 1
    assert source.count("function explorable(") == 1


def test_a_page_without_a_kernel_finds_name_and_state():
    shown = explorables.show("slopes", input_x=-1.5, layers=3)
    data, _ = shown._repr_mimebundle_()
    attributes = dict(re.findall(r'data-(\w+)="([^"]*)"', data["text/html"]))
    assert attributes["name"] == "slopes"
    assert json.loads(html.unescape(attributes["state"])) == {"input_x": -1.5, "layers": 3}
    assert data["text/plain"] in data["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in data


def test_the_browser_tells_the_kernel():
    shown = explorables.show("windows", z=3, s=2)
    shown.set_state({"z": 5})
    assert (shown.z, shown.s) == (5, 2)
    with pytest.raises(ValueError, match="ravine"):
        explorables.show("canyon")
