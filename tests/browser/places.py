"""Where the browser tests find and put things, and how long they wait."""

import shutil
from pathlib import Path

COURSE = Path(__file__).parents[2]
SHOTS = COURSE / "build" / "browser"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)  # none: the one that `playwright install chromium` brings
PATIENCE = 180  # seconds: both cores may be busy
