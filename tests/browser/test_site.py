"""The built site as a reader has it, on a desk and on a phone: for `make test-site`.

Nothing outside of the site is asked for, so that the network decides nothing: no badge of Colab's,
and formulas as they were written, as they are where MathJax cannot be had.
"""

import functools
import http.server
import re
import threading
from pathlib import Path

import pytest
from places import COURSE, SHOTS
from playwright.sync_api import Page, expect

SITE = COURSE / "build" / "site"
PAGES = ["docs/index", "notebooks/13-the-paper-and-the-2012-source", "docs/glossary",
         "docs/reference", "genindex"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    """The address of the site, which its search needs."""
    with http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def look(site, browser):
    """Opens a page of the site in a window of some width."""
    contexts = []

    def opened(name: str, width: int) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}))
        contexts[-1].route(lambda url: not url.startswith((site, "data:")),
                           lambda route: route.abort())
        page = contexts[-1].new_page()
        page.goto(f"{site}/{name}")
        return page

    yield opened
    for context in contexts:
        context.close()


def too_wide(page: Page) -> list[str]:
    """What sticks out of the window, if the page can be moved sideways: none is as it should be."""
    return page.evaluate("""() => {
        const edge = window.innerWidth + 2;
        if (document.documentElement.scrollWidth <= edge) return [];
        const found = [...document.querySelectorAll('main *')].filter(
            e => e.getBoundingClientRect().right + window.scrollX > edge);
        return ['the page', ...found.map(e => e.outerHTML.slice(0, 120))]; }""")


def bad_pictures(page: Page) -> list[str]:
    """The pictures of the site that did not arrive, or have no words for those who cannot see."""
    return page.evaluate("""site => [...document.images].filter(img => img.src.startsWith(site) ?
        !img.naturalWidth || !img.alt : !img.hasAttribute('alt')).map(img => img.outerHTML)""",
                         page.evaluate("location.origin"))


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_its_pictures_are_there(look, name, width):
    page = look(f"{name}.html", width)
    page.evaluate("document.querySelectorAll('img').forEach(img => img.loading = 'eager')")
    page.wait_for_load_state("networkidle")
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"site-{Path(name).name[:12]}-{width}.png")
    assert too_wide(page) == []
    assert bad_pictures(page) == []


def test_what_is_wrong_with_a_page_is_found(look):
    page = look("docs/glossary.html", 390)
    page.evaluate("""() => document.querySelector('article').insertAdjacentHTML('beforeend',
        '<p id="wide" style="width: 600px">wide</p><img src="none.png" alt="none">' +
        '<img src="../_static/file.png">')""")
    page.wait_for_load_state("networkidle")
    assert any("wide" in what for what in too_wide(page))
    assert len(bad_pictures(page)) == 2


def test_the_search_finds_pages(look):
    page = look("search.html?q=dropout", 1280)
    found = page.locator("#search-results li a")
    expect(found.first).to_be_visible()
    assert any("08" in text for text in found.all_inner_texts())
    page.screenshot(path=SHOTS / "site-search.png")


@pytest.mark.parametrize("width", [390, 1280])
def test_an_explorable_moves_without_a_kernel(look, width):
    page = look("notebooks/04-local-response-normalisation.html", width)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    place = page.locator(".xp")
    place.scroll_into_view_if_needed()
    before = place.locator("svg").inner_html()
    place.get_by_role("slider", name="window n").press("ArrowRight")
    expect(place.locator("svg")).not_to_have_js_property("innerHTML", before)
    page.screenshot(path=SHOTS / f"site-explorable-{width}.png")
    text, ground = page.evaluate("""() => { const xp = document.querySelector('.xp');
        return [getComputedStyle(xp).color, getComputedStyle(xp.parentElement.parentElement)
                .backgroundColor]; }""")
    assert ground == "rgba(0, 0, 0, 0)" and min(map(int, re.findall(r"\d+", text)[:3])) > 128
