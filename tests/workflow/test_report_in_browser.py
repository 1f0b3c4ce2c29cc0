"""The report in a real browser: sorting, filters, links, keyboard, values on hover, and nothing from a network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest
import reported
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from pipeline_lib.report import writing

_CHROMIUM, _DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (_CHROMIUM and _DRIVER), reason="there is no chromium with its driver: apt-get install chromium chromium-driver"
)
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--window-size=1280,900"),
)


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    results = tmp_path_factory.mktemp("browser")
    return writing.write(reported.whole(results).plan)[0].as_uri()


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Iterator[WebDriver]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(_CHROMIUM)
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=_DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(started, address) -> Iterator[WebDriver]:
    """The page as it opens; when a test has ended, no error is on the console and nothing was asked of a network."""
    started.get("about:blank")
    for log in ("browser", "performance"):
        started.get_log(log)
    started.get(address)
    yield started
    assert started.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in started.get_log("performance")]
    urls = [each["params"]["request"]["url"] for each in asked if each["method"] == "Network.requestWillBeSent"]
    assert urls
    assert {url.partition(":")[0] for url in urls} <= {"file", "data", "blob"}


def _one(browser: WebDriver, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def _column(browser: WebDriver, table: str, place: int) -> list[str]:
    """Texts of a column, of the rows that are shown."""
    cells = browser.find_elements(By.CSS_SELECTOR, f"#{table} tbody tr:not([hidden]) td:nth-child({place})")
    return [cell.get_attribute("textContent") or "" for cell in cells]


def test_a_table_is_sorted_by_mouse_and_keyboard_and_says_how(browser) -> None:
    button = _one(browser, "#claims-table th:nth-child(3) button")
    heading = _one(browser, "#claims-table th:nth-child(3)")
    assert heading.get_attribute("aria-sort") is None
    button.click()
    assert heading.get_attribute("aria-sort") == "ascending"
    rising = ["2 (1.5 to 2.5) %", "10 (9 to ∞) %", "beyond the grid (-1 to ∞) %", ""]
    assert _column(browser, "claims-table", 3) == rising, "as numbers"
    button.send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "descending"
    assert _column(browser, "claims-table", 3) == [*rising[2::-1], ""], "what was not measured comes last"
    _one(browser, "#claims-table th:nth-child(6) button").send_keys(Keys.SPACE)
    assert heading.get_attribute("aria-sort") is None
    assert _column(browser, "claims-table", 6) == ["A", "A", "B", "B"]


def test_claims_are_filtered_and_a_link_finds_one_that_is_hidden(browser) -> None:
    form = _one(browser, "[data-filters=claims-table]")
    form.find_element(By.NAME, "paper").send_keys("A")
    shown = form.find_element(By.NAME, "shown")
    assert shown.text == "2 of 4 claims"
    form.find_element(By.NAME, "words").send_keys("THIRD", Keys.ENTER)
    assert shown.text == "1 of 4 claims"
    assert _column(browser, "claims-table", 1) == ["undecided"]
    browser.execute_script("location.hash = '#claim-B-second-toy'")
    WebDriverWait(browser, 10).until(lambda _: _one(browser, "#claim-B-second-toy").is_displayed())
    assert shown.text == "4 claims"
    _one(browser, "a[data-choose=fails]").click()
    assert _column(browser, "claims-table", 1) == ["fails"]


def test_a_figure_leads_to_its_rows(browser) -> None:
    table = _one(browser, "#table-instability-rows")
    assert not table.is_displayed()
    link = _one(browser, "a[data-rows=instability_dense]")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", link)
    link.click()
    WebDriverWait(browser, 10).until(lambda _: table.is_displayed())
    assert _one(browser, "#table-instability output").text == "12 of 24 rows"
    kinds = [h.text.split()[0] for h in table.find_elements(By.CSS_SELECTOR, "th")]
    assert set(_column(browser, "table-instability-rows", kinds.index("kind") + 1)) == {"dense"}


def test_a_deep_link_opens_what_it_leads_to(browser, address) -> None:
    browser.get("about:blank")
    browser.get(f"{address}#table-runs")
    assert _one(browser, "#table-runs-rows").is_displayed()
    assert abs(browser.execute_script("return document.getElementById('table-runs').getBoundingClientRect().top")) < 900


def test_the_first_stop_of_the_keyboard_skips_to_the_content(browser) -> None:
    _one(browser, "body").send_keys(Keys.TAB)
    link = browser.switch_to.active_element
    assert link.text == "Skip to the content"
    assert link.rect["x"] >= 0, "it is seen when it is there"
    link.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "content"


def test_values_are_told_on_hover(browser) -> None:
    summary = _one(browser, "details.twin summary")
    browser.execute_script("arguments[0].scrollIntoView({block: 'start'})", summary)
    summary.send_keys(Keys.ENTER)
    point = WebDriverWait(browser, 30).until(lambda _: _one(browser, "details.twin .point"))
    webdriver.ActionChains(browser).move_to_element(point).perform()
    told = WebDriverWait(browser, 10).until(lambda _: _one(browser, "details.twin .hovertext")).text
    assert "0: 21 ± 1 sd, n = 3" in told


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(browser, width) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 1000}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        parts = "document.querySelectorAll('main > section > :not(.scroll)')"
        ends = browser.execute_script(f"return [...{parts}].map((part) => part.getBoundingClientRect().right)")
        assert 0 < max(ends) <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
