"""The report: the same bytes for the same records, nothing in it acts, and a browser shows it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gluontricks.recipes import published
from gluontricks.recipes.external import external
from gluontricks.report.charts import Axis, nice
from gluontricks.report.make import is_stale, page, write_report
from gluontricks.results import registry

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = '<script>document.title="x";<img src=x onerror="document.title=1">"\'&|`\x1b[0m'


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of none."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        self.found.append((tag, dict(attributes)))


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The logs and a few runs: two rows of a reduced table with two seeds, and a hostile one."""
    from record_maker import make_record

    from gluontricks.results.records import write_record

    folder = tmp_path_factory.mktemp("report")
    results = folder / "results"
    (results / "runs").mkdir(parents=True)
    shutil.copy(ROOT / "results" / "complexity.json", results)
    shutil.copy(ROOT / "results" / "runs" / "author-logs.jsonl", results / "runs")
    heads = json.loads((ROOT / "results" / "runs" / "HEADS.json").read_text())
    kept = {"author-logs": heads["author-logs"]}
    (results / "runs" / "HEADS.json").write_text(json.dumps(kept))
    made = [
        make_record(f"stitch-III-{name}-reduced", seed, top1 + seed)
        for name, top1 in (("baseline", 20.0), ("cosine", 30.0))
        for seed in range(2)
    ]
    # A number that stands in no cell of any other table.
    made.append(make_record("stitch-III-mixup", 0, 12.34, engine=HOSTILE))
    for record in made:
        record["hardware"]["cpu"] = HOSTILE
        run = folder / record["run_id"]
        run.mkdir()
        write_record(run / "record.json", record)
        registry.add(run, results, writer="a")
    write_report(results)
    return results


def test_the_committed_page_is_what_the_committed_records_give() -> None:
    assert not is_stale(ROOT / "results")


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_page_is_the_same_in_another_process_without_a_framework(small, seed: str) -> None:
    program = (
        "import sys; from gluontricks.report.make import page; text = page(sys.argv[1]); "
        "assert not {'mxnet', 'torch', 'matplotlib'} & set(sys.modules); "
        "sys.stdout.buffer.write(text.encode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(small)], capture_output=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "LC_ALL": "C"},
    )  # fmt: skip
    assert done.stdout == (small / "index.html").read_bytes()


def test_no_word_of_a_record_acts_and_nothing_is_loaded(small) -> None:
    text = page(small)
    elements = Elements(text).found
    assert "\x1b" not in text
    assert [tag for tag, _ in elements].count("script") == 1
    assert not any(tag in ("img", "iframe", "object", "embed", "base") for tag, _ in elements)
    for tag, attributes in elements:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href", "action", "data", "srcset"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:,")), (tag, target)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", text.split("<main>")[0])
    (policy,) = [a["content"] for _, a in elements if a.get("http-equiv")]
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]


def test_every_link_leads_to_an_element_and_every_id_is_there_once(small) -> None:
    elements = Elements(page(small)).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {
        a["href"][1:] for tag, a in elements if tag == "a" and a.get("href", "").startswith("#")
    }
    assert links <= set(ids)


def test_the_page_has_every_value_every_repository_value_and_every_run(small) -> None:
    elements = Elements(page(small)).found
    ids = {attributes.get("id") for _, attributes in elements}
    values = [name for name in ids if name and name.startswith("value-")]
    assert len(values) == len(published()) + len(external()) == 354 + 94
    for record in registry.load(small):
        assert any(name and name.startswith("run-") and record["run_id"] in name for name in ids)


def test_numbers_of_full_and_of_reduced_runs_share_no_table(small) -> None:
    text = page(small)
    for table in re.findall(r"<table>.*?</table>", text, re.DOTALL):
        labels = {label for label in ("MEASURED-FULL", "MEASURED-REDUCED")
                  if f'">{label}</span>' in table}  # fmt: skip
        assert len(labels) < 2 or "published" in table.partition("</thead>")[0], "the account alone"


def test_an_axis_has_round_ticks_inside_its_range() -> None:
    assert Axis(0, 100, 0, 1).ticks() == [0, 20, 40, 60, 80, 100]
    assert Axis(74.6, 76.1, 0, 1).ticks() == [75.0, 75.5, 76.0]
    assert [nice(step) for step in (0.11, 0.3, 0.5, 7, 1.0)] == [0.2, 0.5, 0.5, 10, 1]


def chromium():
    """Return a browser, or skip; continuous integration requires one."""
    required = os.environ.get("GLUONTRICKS_REQUIRE_BROWSER")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        assert not required, "playwright is not installed"
        pytest.skip("playwright is not installed: pip install 'gluontricks[browser]'")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        assert not required, "there is no chromium"
        pytest.skip("there is no chromium on the PATH")
    return sync_playwright, path


@pytest.fixture(scope="module")
def browser():
    """A headless browser of the system."""
    start, path = chromium()
    with start() as engine:
        opened = engine.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def opened(browser, small):
    """The page in a new tab; at the end nothing may have been said, asked for or run."""
    said, asked = [], []
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    address = (small / "index.html").as_uri()
    tab.goto(address)
    yield tab
    assert said == []
    assert {url.partition("#")[0] for url in asked} == {address}
    assert tab.title() == "gluontricks: results"
    tab.close()


def shown(tab, selector: str) -> int:
    return tab.evaluate(
        "s => [...document.querySelectorAll(s)].filter(e => !e.closest('[hidden]')).length",
        selector,
    )


def column(tab, name: str, index: int) -> list:
    return tab.evaluate(
        "([name, index]) => [...document.getElementById(name).closest('.table')"
        ".querySelectorAll('tbody tr')].map(row => row.cells[index].textContent)",
        [name, index],
    )


def test_a_table_is_sorted_by_a_click_both_ways(opened) -> None:
    name = "table-stitch-mixup-iii-reduced"
    heading = opened.locator(f".table:has(#{name}) th button", has_text="top-1, ours")
    before = column(opened, name, 2)
    assert before == ["20.50 ± 0.71 (2 runs)", "30.50 ± 0.71 (2 runs)"]
    heading.click()
    heading.click()
    assert column(opened, name, 2) == before[::-1]
    assert heading.locator("xpath=..").get_attribute("aria-sort") == "descending"
    heading.click()
    assert column(opened, name, 2) == before


def test_numbers_are_sorted_as_numbers_and_rows_without_one_come_last(opened) -> None:
    name = "table-bag-of-tricks-1"
    heading = opened.locator(f".table:has(#{name}) th button", has_text="top-5, published")
    heading.click()
    index = opened.evaluate(
        "name => [...document.getElementById(name).closest('.table').querySelectorAll('th')]"
        ".findIndex(th => th.textContent === 'top-5, published')",
        name,
    )
    found = column(opened, name, index)
    assert [text[:5] for text in found[:-1]] == ["92.2", "93.38", "93.66", "94.51", "94.63"]
    assert found[-1].startswith("-"), "not reported"


def test_the_filter_leaves_the_rows_of_a_paper_and_a_label(opened) -> None:
    everything = shown(opened, "[data-item]")
    opened.select_option("#paper", "tiny-imagenet")
    assert shown(opened, "[data-item]") == shown(opened, '[data-item][data-paper="tiny-imagenet"]')
    assert shown(opened, "[id^=value-tiny]") == 33
    assert "rows" in opened.inner_text("#told")
    opened.select_option("#paper", "")
    opened.select_option("#label", "AUTHOR-REPO")
    assert shown(opened, "[data-item]") == 94
    opened.select_option("#label", "MEASURED-REDUCED")
    assert shown(opened, "h3[id=table-stitch-mixup-iii-reduced]") == 1
    assert shown(opened, "h3[id=table-bag-of-tricks-6]") == 0
    opened.click("button[type=reset]")
    opened.wait_for_function("document.getElementById('told').textContent === ''")
    assert shown(opened, "[data-item]") == everything


def test_words_are_looked_for_in_every_row(opened) -> None:
    opened.fill("#words", "Vert. Spatial Mixup w/ Distill.")
    assert 0 < shown(opened, "[data-item]") < 20
    opened.fill("#words", "no such words anywhere")
    assert shown(opened, "[data-item]") == 0


def test_a_number_leads_to_its_run_which_opens(opened) -> None:
    link = opened.locator("a[href^='#run-']").last
    target = link.get_attribute("href")[1:]
    opened.evaluate("name => { location.hash = name; }", target)
    opened.wait_for_function("name => document.getElementById(name).open", arg=target)
    box = opened.locator(f"[id='{target}']").bounding_box()
    assert 0 <= box["y"] < 900


def test_the_keyboard_reaches_the_filter_sorts_a_table_and_opens_a_run(opened) -> None:
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.className") == "skip"
    for expected in ("paper", "label", "words"):
        opened.keyboard.press("Tab")
        assert opened.evaluate("document.activeElement.id") == expected
    heading = opened.locator("#account ~ .scroll th button").first
    heading.focus()
    opened.keyboard.press("Enter")
    assert heading.locator("xpath=..").get_attribute("aria-sort") == "ascending"
    run = opened.locator("details[id^=run-] > summary").first
    run.focus()
    opened.keyboard.press("Enter")
    assert opened.evaluate("document.activeElement.parentElement.open")


def test_light_and_dark_follow_the_system_and_the_button(opened) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    opened.emulate_media(color_scheme="light")
    light = opened.evaluate(ground)
    opened.emulate_media(color_scheme="dark")
    dark = opened.evaluate(ground)
    assert light != dark
    opened.click("#theme")
    assert opened.evaluate(ground) == light
    opened.click("#theme")
    assert opened.evaluate(ground) == dark


def test_a_phone_scrolls_tables_and_never_the_page_sideways(opened) -> None:
    opened.set_viewport_size({"width": 390, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    opened.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390


def test_print_shows_what_is_folded_and_no_tools(opened) -> None:
    opened.emulate_media(media="print")
    assert not opened.locator(".tools").is_visible()
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.evaluate("[...document.querySelectorAll('details')].every(d => d.open)")
    opened.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not opened.evaluate("[...document.querySelectorAll('details')].some(d => d.open)")
