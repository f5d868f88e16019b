"""One Chromium for all browser tests of a process: Playwright runs only once in each."""

import pytest
from places import CHROMIUM, PATIENCE
from playwright.sync_api import expect, sync_playwright


@pytest.fixture(scope="session")
def browser():
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=[
            "--no-sandbox", "--disable-dev-shm-usage"])  # root, and containers with little memory
