"""The page that sets a notebook's sentences beside its outputs."""

import base64

import nbformat
import read_outputs
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output


def test_sentences_stand_beside_what_they_speak_of():
    notebook = nbformat.v4.new_notebook(cells=[
        new_markdown_cell("# Run 77\n\nHello, you. ReLU wins: 12.5% against 1,648 images.\n\n"
                          "```python\nx = 99\n```\n<details>In 88 steps.</details>", id="98-a"),
        new_code_cell("course.show(f, 'It falls.')", id="98-b", outputs=[
            new_output("stream", text="error: 12.5% (ours: 10 to 20%)\n"),
            new_output("display_data", {"image/png": base64.b64encode(b"pixels").decode()},
                       metadata={"image/png": {"alt": "A line."}, "caption": "It falls."}),
            new_output("display_data", {"text/html": "<p>It <b>falls</b>.</p>",
                                        "text/plain": "It falls."})]),
        new_markdown_cell("The curve falls. So be it.", id="98-c")])
    page, pictures = read_outputs.reading(notebook, "98")
    assert pictures == {"98-b-1.png": b"pixels"}
    parts = ["- ReLU wins: 12.5% against 1,648 images. **[in no output: 1648]**",
             "    error: 12.5%", "![](98-b-1.png)", "alt: A line.", "falls", "- The curve falls."]
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert not any(word in page for word in ("Hello", "So be it", "99", "88", "Run 77"))
