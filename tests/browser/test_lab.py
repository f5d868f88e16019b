"""The course as a reader has it: JupyterLab in Chromium, started by `make lab`.

Each notebook opens and runs to its end, every control that is moved changes its picture, and the
dashboard stops and goes on. What it looked like is kept in build/browser: before the run, with
each control moved, and the whole notebook at the end.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from places import COURSE, PATIENCE, SHOTS
from playwright.sync_api import Locator, Page, expect

NOTEBOOKS = sorted(path.name for path in (COURSE / "notebooks").glob("*.ipynb"))


def answers(address: str) -> bool:
    try:
        return bool(urllib.request.urlopen(address, timeout=1))
    except OSError:
        return False


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The address of a running lab, over a copy of the notebooks: what it saves is thrown away."""
    root = tmp_path_factory.mktemp("lab")
    shutil.copytree(COURSE / "notebooks", root / "notebooks",
                    ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = (f"--no-browser --port {port} --ServerApp.port_retries=0 --IdentityProvider.token= "
               "--LabApp.expose_app_in_browser=True")
    home = {"JUPYTER_CONFIG_DIR": str(root / ".config"), "JUPYTERLAB_WORKSPACES_DIR": str(root),
            "JUPYTERLAB_SETTINGS_DIR": str(root / ".settings")}
    with open(root / "log", "w") as log:
        server = subprocess.Popen(["make", "lab", f"DIR={root}", f"ARGS={options}"], cwd=COURSE,
                                  stdout=log, stderr=subprocess.STDOUT, env=os.environ | home,
                                  start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE
        while not answers(f"{address}/api"):
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail((root / "log").read_text()[-2000:])
            time.sleep(0.5)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # make, the server and its kernels
        server.wait(30)


@pytest.fixture
def open_notebook(lab, browser):
    """Opens a notebook by name; its kernel ends with the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)

    def opened(name: str) -> Page:
        page.goto(f"{lab}/lab/tree/notebooks/{name}?reset")
        page.wait_for_function("""() => {
            const panel = window.jupyterapp?.shell.currentWidget;
            return panel?.sessionContext?.session?.kernel?.status === 'idle'; }""")
        return page

    yield opened
    page.evaluate("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.shutdown()")
    context.close()


def cells(page: Page) -> list[dict]:
    """By cell: its place, id, kind, source and outputs, as the notebook holds them now."""
    return page.evaluate("""() =>
        [...window.jupyterapp.shell.currentWidget.content.model.cells].map((cell, index) => ({
            index, id: cell.id, kind: cell.type, source: cell.sharedModel.source,
            fetched: (cell.sharedModel.getMetadata('tags') || []).includes('fetched'),
            outputs: cell.type === 'code' ? cell.outputs.toJSON() : [] }))""")


WIDGET = "application/vnd.jupyter.widget-view+json"


def shown(cell: dict) -> set[str]:
    """What kinds of output a cell has; what is not stored does not count: progress bars, warnings,
    fetched photographs."""
    return {output["output_type"] for output in cell["outputs"]
            if output.get("name") != "stderr" and set(output.get("data", {})) != {WIDGET}
            and not (cell["fetched"] and "data" in output)}


def run(page: Page, command: str) -> None:
    """A command of JupyterLab's menus; returns when the cells have run."""
    page.evaluate("name => window.jupyterapp.commands.execute('notebook:' + name)", command)


def cell(page: Page, index: int) -> Locator:
    """The cell on the screen: what is far from it, JupyterLab does not draw."""
    page.evaluate("""async index => {
        const content = window.jupyterapp.shell.currentWidget.content;
        content.activeCellIndex = index;
        await content.scrollToItem(index, 'start'); }""", index)
    found = page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{index}"]')
    found.wait_for()
    return found


def picture(area: Locator) -> str:
    """The data of the widget's picture, which another picture does not share."""
    return area.locator("img").last.evaluate(
        "async img => btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest("
        "'SHA-256', await (await fetch(img.src)).arrayBuffer()))))")


def changed(area: Locator, before: str, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if picture(area) != before:
            return
        time.sleep(0.1)
    pytest.fail(f"{what}: the picture stays as it was")


def move_everything(area: Locator, where: str) -> int:
    """Sliders and boxes by keyboard, menus by choice: each must change the picture. How many."""
    moved = 0
    for handle in area.locator(".noUi-handle").all():
        before = picture(area)
        end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
        handle.focus()
        handle.press("ArrowLeft" if end else "ArrowRight")
        changed(area, before, f"{where}, slider {moved}")
        moved += 1
    for menu in area.locator("select").all():
        before = picture(area)
        menu.select_option(index=menu.evaluate("m => (m.selectedIndex + 1) % m.length"))
        changed(area, before, f"{where}, menu {moved}")
        moved += 1
    for box in area.locator('input[type="checkbox"]').all():
        before = picture(area)
        box.press("Space")
        changed(area, before, f"{where}, box {moved}")
        moved += 1
    return moved


def whole(page: Page, path: Path) -> None:
    """A picture of the notebook from its head, in a window as high as it: Chromium paints 16,000
    pixels, which is all of most notebooks."""
    page.evaluate("""() => {
        const content = window.jupyterapp.shell.currentWidget.content;
        content.notebookConfig = { ...content.notebookConfig, windowingMode: 'none' }; }""")
    height, before = 1, 0
    while before < height < 16000:  # cells get into the page little by little
        page.wait_for_timeout(1500)
        before, height = height, page.evaluate("""() => 200 + Math.max(0, ...[
            ...document.querySelectorAll('.jp-WindowedPanel-outer')].map(e => e.scrollHeight))""")
        page.set_viewport_size({"width": 1280, "height": min(height, 16000)})
    page.locator(".jp-WindowedPanel-outer").first.evaluate("e => { e.scrollTop = 0; }")
    page.wait_for_timeout(500)
    page.screenshot(path=path)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_runs_to_its_end_and_answers_to_every_control(open_notebook, name):
    page = open_notebook(name)
    stored = cells(page)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name[:2]}.png")
    run(page, "run-all-cells")
    ran = cells(page)
    errors = [f"{c['id']}: {o['ename']}: {o['evalue']}" for c in ran for o in c["outputs"]
              if o["output_type"] == "error"]
    assert not errors
    for old, new in zip(stored, ran, strict=True):
        assert shown(old) == shown(new), old["id"]
    for c in ran:
        explores = c["kind"] == "code" and "widgets.explore(" in c["source"]
        draws = c["kind"] == "code" and "explorables.show(" in c["source"]
        views = [o for o in c["outputs"]
                 if WIDGET in o.get("data", {})]
        assert bool(views) >= (explores or draws), c["id"]
        if explores:
            area = cell(page, c["index"]).locator(".jp-OutputArea")
            area.locator("img").last.wait_for()
            assert move_everything(area, c["id"])
            page.screenshot(path=SHOTS / f"{c['id']}.png")
        if draws:
            place = cell(page, c["index"]).locator(".xp")
            place.scroll_into_view_if_needed()
            for control in place.get_by_role("slider").all():
                before = place.locator("svg").inner_html()
                control.press("ArrowRight")
                control.press("ArrowUp")
                expect(place.locator("svg")).not_to_have_js_property("innerHTML", before)
            page.screenshot(path=SHOTS / f"{c['id']}.png")
    whole(page, SHOTS / f"{name[:2]}-run.png")


def test_a_notebook_runs_twice_in_one_kernel(open_notebook):
    page = open_notebook("09-training-the-full-network.ipynb")  # it has checkpoints and threads
    outputs = []
    for _ in range(2):
        run(page, "run-all-cells")
        ran = cells(page)
        assert not [c["id"] for c in ran for o in c["outputs"] if o["output_type"] == "error"]
        outputs.append([shown(c) for c in ran])
    assert outputs[0] == outputs[1]


def test_the_dashboard_stops_and_goes_on(open_notebook):
    page = open_notebook("09-training-the-full-network.ipynb")
    board = next(c["index"] for c in cells(page) if "board = Dashboard(" in c["source"])
    area = cell(page, board).locator(".jp-OutputArea")
    run(page, "run-all-above")
    run(page, "run-cell")
    train, stop = (area.locator("button", has_text=text) for text in ("Train", "Stop"))
    status = area.locator("div.widget-label").last
    train.press("Enter")
    expect(status).to_contain_text("training ·")
    stop.press("Enter")
    expect(status).to_contain_text("stopped ·")
    before, told = picture(area), status.inner_text()
    page.screenshot(path=SHOTS / "09-stopped.png")
    area.locator("button", has_text="Continue").click()
    expect(status).to_contain_text("training ·")
    expect(status).not_to_have_text(told)
    changed(area, before, "the dashboard")
    stop.click()
    expect(status).to_contain_text("stopped ·")
