"""Take the screenshots of docs/dashboard.md anew: `python -m tests.browser.screenshots`."""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from core.access.caller import Limits
from core.access.managed_keys import ManagedKeys
from core.settings import Secret
from tests.browser.conftest import FLAGS, KEY, sign_in
from tests.browser.seed import seed
from tests.e2e.hosting import Hosted, new_fake

IMAGES = Path(__file__).parents[2] / "docs" / "images"
# File, page, colours, width and height.
SHOTS = (
    ("dashboard.png", "/dashboard?range=30d", "light", 1080, 1010),
    ("dashboard-phone.png", "/dashboard?range=7d&by=key", "dark", 390, 1010),
    ("status.png", "/", "light", 1080, 640),
)


def main() -> None:
    """Write the images."""
    IMAGES.mkdir(exist_ok=True)
    fake = new_fake()
    with tempfile.TemporaryDirectory() as folder, Hosted(fake, Path(folder), api_key=Secret(KEY)) as gateway:
        state, now = gateway.services.state, gateway.services.now
        seed(state, now(), hours=24 * 60)
        keys = ManagedKeys(state, now)
        keys.create("laptop")
        keys.create(
            "ci", now() + 40 * 24 * 3600, Limits(per_day=500, credits_per_day=50, models=("claude-*",))
        )
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
            for name, path, scheme, width, height in SHOTS:
                page = browser.new_page(
                    base_url=gateway.url,
                    color_scheme="dark" if scheme == "dark" else "light",
                    viewport={"width": width, "height": height},
                )
                page.goto("/dashboard")
                sign_in(page)
                page.goto(path)
                page.screenshot(path=IMAGES / name)
            browser.close()
    fake.stop()


if __name__ == "__main__":
    main()
