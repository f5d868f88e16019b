"""The explorables in Chromium, without a kernel: right numbers, keyboard, names, and speed."""

import functools
import http.server
import json
import re
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from places import SHOTS
from test_site import Quiet

from alexnet_lib.course import explorables
from alexnet_lib.optim import PaperSGD

PAGE = """<!doctype html><meta charset="utf-8"><title>Explorables</title><body>
<script type="module">
window.models = {};
for (const name of NAMES) {
  const state = { ...STATES[name] }, heard = [];
  const model = { get: (key) => state[key], set: (key, value) => { state[key] = value; },
                  save_changes() {}, on: (_, call) => heard.push(call), off() {},
                  assign(values) { Object.assign(state, values); heard.forEach((f) => f()); } };
  const el = Object.assign(document.createElement("section"), { id: name });
  document.body.append(el);
  (await import(`/${name}.js`)).default.render({ model, el });
  window.models[name] = model;
}
document.body.dataset.done = "yes";
</script>"""


PHOTO = np.random.default_rng(0).integers(0, 256, (227, 227, 3), np.uint8)


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    root = tmp_path_factory.mktemp("explorables")
    for file in explorables.HERE.glob("*.js"):
        (root / file.name).write_bytes(file.read_bytes())
    states = {"convolution": {"photo": explorables.picture(PHOTO)}}
    (root / "index.html").write_text(PAGE.replace("NAMES", json.dumps(explorables.NAMES))
                                     .replace("STATES", json.dumps(states)))
    with http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=root)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page(viewport={"width": 800, "height": 900})
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        page.wait_for_selector("body[data-done]")
        for name in explorables.NAMES:
            page.wait_for_selector(f"#{name} svg")
        yield page
        page.close()
        server.shutdown()


def numbers(page, name: str, **state) -> list[float]:
    """What an explorable says of a state: the numbers of its sentence."""
    page.evaluate("""([name, state]) => new Promise(done => {
        window.models[name].assign(state);
        requestAnimationFrame(() => requestAnimationFrame(done)); })""", [name, state])
    said = page.locator(f"#{name} .xp-says").inner_text().replace(",", "")
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", said)]


@pytest.mark.parametrize("n, alpha, k, beta", [(5, 1, 2, 0.75), (1, 4, 1, 1), (9, 0, 2, 0.5)])
def test_responses_are_those_of_torch(page, n, alpha, k, beta):
    row = [40, 0, 70, 30, 240, 60, 90, 0, 20, 50, 10, 60]
    x = torch.tensor(row).double().view(1, -1, 1, 1)
    after = F.local_response_norm(x, n, n * alpha / 1e4, beta, k).flatten()[4]
    only = torch.where(torch.arange(12).view(1, -1, 1, 1) == 4, x, 0.0)
    alone = F.local_response_norm(only, n, n * alpha / 1e4, beta, k).flatten()[4]
    found = numbers(page, "responses", responses=row, chosen=4, n=n, alpha_x_10000=alpha, k=k,
                    beta=beta)
    assert found[:2] == [4, 240]
    assert found[2:4] == pytest.approx([after.item(), alone.item()], abs=0.051)


@pytest.mark.parametrize("row, column, stride, turned", [(20, 42, 4, False), (1, 7, 12, True)])
def test_a_convolution_is_that_of_torch(page, row, column, stride, turned):
    kernel = torch.zeros(11, 11)
    kernel[:, :5], kernel[:, 6:] = -1, 1
    kernel = (kernel.T if turned else kernel).expand(1, 3, 11, 11).double()
    image = torch.from_numpy(PHOTO).double().permute(2, 0, 1)[None]
    expected = F.conv2d(image, kernel, stride=stride)[0, 0]
    found = numbers(page, "convolution", row=row, column=column, stride=stride,
                    angle=90 if turned else 0)
    assert found == [row, column, *expected.shape, expected[row - 1, column - 1]]


@pytest.mark.parametrize("z, s", [(3, 2), (2, 2), (1, 1), (2, 5), (6, 1)])
def test_windows_are_those_of_torch(page, z, s):
    row = torch.tensor([2, 0, 0, 0, 0, 1, 16, 48, 74, 62, 30, 9, 0, 0, 0]).double()
    kept, winners = F.max_pool1d(row.view(1, 1, -1), z, s, return_indices=True)
    found = numbers(page, "windows", pixels=row.tolist(), z=z, s=s)
    assert found[0] == kept.numel() and found[-1] == torch.bincount(winners.flatten()).max()
    texts = page.locator("#windows svg text").all_text_contents()[16:]  # a title, fifteen pixels
    assert [float(text) for text in texts] == kept.flatten().tolist()


@pytest.mark.parametrize("at, layers", [(2.0, 5), (-2.0, 5), (0.1, 1)])
def test_slopes_are_those_of_autograd(page, at, layers):
    expected = []
    for function in (torch.relu, torch.tanh, torch.sigmoid):
        x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        function(x).backward()
        expected.append(x.grad.item() ** layers)
    found = numbers(page, "slopes", input_x=at, layers=layers)
    assert found[-3:] == pytest.approx(expected, rel=0.051)


@pytest.mark.parametrize("prevalence, recall, alarms", [(0.5, 0.9, 0.05), (0.005, 0.9, 0.05)])
def test_prevalence_counts_a_thousand_cases(page, prevalence, recall, alarms):
    ill = round(1000 * prevalence)
    hits, false = int(ill * recall + 0.5), int((1000 - ill) * alarms + 0.5)
    found = numbers(page, "prevalence", prevalence=prevalence, recall=recall, false_alarms=alarms)
    assert found[1:4] == [ill, hits + false, hits]
    assert found[4] == pytest.approx(100 * hits / (hits + false), rel=0.051)


@pytest.mark.parametrize("lr, momentum, steep, drop", [(0.018, 0.9, 100, 0), (0.01, 0.5, 40, 7)])
def test_the_ravine_takes_the_steps_of_the_optimizers(page, lr, momentum, steep, drop):
    def end(rule):
        place = torch.tensor([-10, 1], dtype=torch.float64, requires_grad=True)
        optimizer = rule([place])
        for step in range(60):
            if step == drop > 0:
                optimizer.param_groups[0]["lr"] /= 10
            optimizer.zero_grad()
            loss = (place[0] ** 2 + steep * place[1] ** 2) / 2
            loss.backward()
            optimizer.step()
        return (place[0] ** 2 + steep * place[1] ** 2).item() / 2
    ends = [end(lambda place: torch.optim.SGD(place, lr)),
            end(lambda place: torch.optim.SGD(place, lr, momentum)),
            end(lambda place: PaperSGD(place, lr, momentum, 0.0))]
    found = numbers(page, "ravine", lr=lr, momentum=momentum, steep=steep, drop=drop)
    assert found[:2] == [60, (100 + steep) / 2]
    assert found[2:] == pytest.approx(ends, rel=0.051)


@pytest.mark.parametrize("name", explorables.NAMES)
def test_every_control_has_a_name_and_answers_to_the_keyboard(page, name):
    place = page.locator(f"#{name}")
    for control in place.get_by_role("slider").all():
        picture = place.locator("svg").inner_html()
        key = "ArrowLeft" if control.evaluate(
            "e => Number(e.value ?? e.ariaValueNow) >= Number(e.max ?? e.ariaValueMax)"
        ) else "ArrowRight"
        control.focus()
        page.keyboard.press(key)
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => "
                      "requestAnimationFrame(done)))")
        assert place.locator("svg").inner_html() != picture
    tree = place.aria_snapshot()
    assert tree.count("slider") == len(re.findall(r'slider "[^"]+"', tree)) > 1


@pytest.mark.parametrize("name", explorables.NAMES)
def test_sixty_moves_are_drawn_within_a_frame_each(page, name):
    milliseconds = page.evaluate("""async name => {
        const input = document.querySelector(`#${name} input`), times = [];
        const svg = document.querySelector(`#${name} svg`);
        for (let i = 0; i < 60; i += 1) {
            const [low, high] = [Number(input.min), Number(input.max)];
            input.value = low + (high - low) * ((7 * i) % 60) / 60;
            const old = window.requestAnimationFrame;
            window.requestAnimationFrame = (paint) => { paint(); return 0; };  // at once
            const begun = performance.now();
            input.dispatchEvent(new Event("input", { bubbles: true }));
            svg.getBoundingClientRect();  // with its layout
            times.push(performance.now() - begun);
            window.requestAnimationFrame = old;
        }
        return times.sort((a, b) => a - b)[30]; }""", name)
    print(f"{name}: {milliseconds:.1f} ms")  # pytest -s shows it
    assert milliseconds < 16


@pytest.mark.parametrize("scheme, width", [("light", 800), ("dark", 800), ("light", 390)])
def test_pictures_to_look_at(page, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("dark => { document.body.style = dark ? 'background: #121212; color: #ddd' : ''}",
                  scheme == "dark")
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"explorables-{scheme}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
