"""The course as a static site: notebooks with their stored outputs, and the library's reference.

Sphinx with myst-nb, because one tool then makes both, runs nothing, and needs only Python.
"""

project = "AlexNet, the course"
author = "The AlexNet course authors"
copyright = "The AlexNet course authors, MIT license"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "docs/index"
include_patterns = ["docs/*.md", "notebooks/*.ipynb", "ERRATA.md", "data/README.md"]
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"  # for CommonMark, tables among the outputs are no tables
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = True
# Widgets need a kernel: each has a static picture above it, and words in its place.
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
suppress_warnings = ["mystnb.unknown_mime_type", "myst.header"]

html_theme = "sphinx_book_theme"
html_title = "AlexNet, the course"
html_show_sourcelink = False
html_static_path = ["_static", "../alexnet_lib/course/explorables"]
exclude_patterns = ["**/__init__.py", "**/__pycache__"]
html_js_files = [("explorables.js", {"type": "module"})]
html_css_files = ["course.css"]
html_extra_path = ["_extra"]  # the front page's address without docs/
html_theme_options = {
    "repository_url": "https://github.com/alexnet-course/alexnet-course",
    "use_repository_button": True,
    "show_navbar_depth": 1,
    "home_page_in_toc": True,
}
