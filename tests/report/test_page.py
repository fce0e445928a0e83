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

from gluontricks.recipes import Recipe, published
from gluontricks.recipes.external import external
from gluontricks.report.axes import Axis, across, nice, span
from gluontricks.report.charts import Series, curves
from gluontricks.report.make import is_stale, write_report
from gluontricks.report.metrics import in_words
from gluontricks.results import registry
from gluontricks.results.cells import Cell
from gluontricks.results.facts import LISTED, UNKNOWN, facts

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


def written(results) -> str:
    return (results / "index.html").read_text(encoding="utf-8")


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
    text = written(small)
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
    elements = Elements(written(small)).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {
        a["href"][1:] for tag, a in elements if tag == "a" and a.get("href", "").startswith("#")
    }
    assert links <= set(ids)


def test_the_page_has_every_value_every_repository_value_and_every_run(small) -> None:
    elements = Elements(written(small)).found
    ids = {attributes.get("id") for _, attributes in elements}
    values = [name for name in ids if name and name.startswith("value-")]
    assert len(values) == len(published()) + len(external()) == 354 + 94
    for record in registry.load(small):
        assert any(name and name.startswith("run-") and record["run_id"] in name for name in ids)


def test_numbers_of_full_and_of_reduced_runs_share_no_table(small) -> None:
    text = written(small)
    for table in re.findall(r"<table.*?</table>", text, re.DOTALL):
        labels = {label for label in ("MEASURED-FULL", "MEASURED-REDUCED")
                  if f'">{label}</span>' in table}  # fmt: skip
        assert len(labels) < 2 or "published" in table.partition("</thead>")[0], "the account alone"


def test_an_axis_has_round_ticks_inside_its_range() -> None:
    assert Axis(0, 100, 0, 1).ticks() == [0, 20, 40, 60, 80, 100]
    assert Axis(74.6, 76.1, 0, 1).ticks() == [75.0, 75.5, 76.0]
    assert [nice(step) for step in (0.11, 0.3, 0.5, 7, 1.0)] == [0.2, 0.5, 0.5, 10, 1]


def test_every_number_of_ours_links_to_each_of_its_runs(small) -> None:
    text = written(small)
    for top1, name in (("20.50 ± 0.71", "baseline"), ("30.50 ± 0.71", "cosine")):
        (links,) = set(
            re.findall(
                rf'data-sort="{top1} \(2 runs\)">[^<]*<span class="seeds">(.*?)</span>', text
            )
        )
        runs = [record for record in registry.load(small)
                if record["recipe"] == f"stitch-III-{name}-reduced"]  # fmt: skip
        assert re.findall(r'href="#run-(\w+)">(.*?)<', links) == [
            (record["run_id"], f"seed {seed}") for seed, record in enumerate(runs)
        ]
    numbers = re.findall(r'data-sort="[^"]*\(\d+ runs?\)">[^<]+(<span)?', text)
    assert numbers
    assert all(numbers)


def test_a_run_has_all_hyper_parameters_its_log_and_every_listed_fact(small) -> None:
    text = written(small)
    for record in registry.load(small):
        start = text.index(f'id="run-{record["run_id"]}"')
        run = text[start : text.find('class="run"', start)]
        assert all(f"<dt>{name}</dt>" in run for name in LISTED), record["run_id"]
        if record["source"] is None:
            for name in Recipe.__dataclass_fields__:
                assert f"<dt>{name}</dt>" in run
            assert run.count('<th scope="row"') == len(record["epochs"])
            assert record["data"]["eval_sha256"] in run


def test_what_a_record_does_not_tell_is_said_to_be_unknown(record) -> None:
    made = {**record("stitch-III-mixup"), "hardware": None, "line_sha256": None}
    told = dict(facts(made, whole=True))
    assert {told[name] for name in ("hardware", "cores", "memory", "instructions")} == {UNKNOWN}
    assert "hardware" not in dict(facts(made))


def test_a_counted_value_of_the_account_leads_to_its_cell_in_a_table_of_costs(small) -> None:
    text = written(small)
    costs = [value for table in ("1", "5") for value in published("bag-of-tricks", table)
             if value.metric in ("flops_G", "params_M") and value.value != "-"]  # fmt: skip
    linked = set(re.findall(r'href="#(cost-[\w-]+)"', text))
    assert len(linked) > 10
    assert len(linked) <= len(costs)
    assert "Costs of " in text


def test_what_a_trick_was_worth_stands_beside_what_was_published(small) -> None:
    part = written(small).partition('<h2 id="worth">')[2].partition("</section>")[0]
    (row,) = re.findall(r"<tr data-item.*?</tr>", part)
    assert "+10.00</a>" in row
    assert "(+1.07)</a>" in row, "76.00 - 74.93 in the labels of the paper's runs"
    assert part.count('class="hollow" cx') == part.count('class="interval"') == 1
    assert "reduced runs" in part


def test_the_last_bits_of_an_interval_move_nothing_on_the_page() -> None:
    for low, high in ((-4.71, 1.72), (-0.4, 4.99), (-0.4, 7.65)):
        drawn = [
            [axis.at(end) for end in ends]
            for ends in ((low, high), (low - 1e-13, high + 1e-13), (low + 1e-13, high - 1e-13))
            for axis in (across([0.0, 1.0], [ends]),)
        ]
        assert drawn[0] == drawn[1] == drawn[2]


def test_an_interval_is_drawn_whole_and_symmetric_or_its_cut_end_is_marked() -> None:
    x = across([20.0, 31.0], [(14.0, 27.0)])
    drawn = span((14.0, 27.0), x, 9, "red", "mean 20.50")
    low, high = (float(end) for end in re.findall(r'x[12]="([\d.]+)"', drawn))
    assert low + high == pytest.approx(2 * x.at(20.5), abs=0.3)
    assert 'class="cut"' not in drawn
    assert "<title>mean 20.50</title>" in drawn
    narrow = across([20.0, 21.0], [(-60.0, 101.0)])
    assert span((-60.0, 101.0), narrow, 9, "red", "").count('class="cut"') == 2


def test_curves_are_told_apart_without_colour(record) -> None:
    made = record("stitch-III-mixup")
    cells = [Cell("mxnet", "cpu", "float32", "MEASURED-FULL", (made,)) for _ in range(12)]
    drawing = curves([Series(f"row {i}", i, cell) for i, cell in enumerate(cells)], "title")
    lines = re.findall(r"<polyline [^>]*>", drawing)
    patterns = [re.findall(r'stroke-dasharray="([^"]*)"', line) for line in lines]
    assert len({str(pattern) for pattern in patterns}) == 12
    ends = re.findall(r'class="end" x="[\d.]+" y="([\d.]+)">(\d+)<', drawing)
    assert [int(number) for _, number in ends] == list(range(1, 13))
    heights = [float(y) for y, _ in ends]
    assert all(b - a >= 11 for a, b in zip(heights, heights[1:]))


def test_ids_of_metrics_are_words_with_units() -> None:
    assert in_words("top1") == "top-1, %"
    assert in_words("flops_G") == "FLOPs, billions (G)"
    assert in_words("val_top1_frac") == "validation top-1, as a fraction"
    for value in (*published(), *external()):
        assert not re.search("_|top[15]", in_words(value.metric)), value.metric


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
        "([name, index]) => [...document.querySelectorAll(`[id='${name}'] + .scroll tbody tr`)]"
        ".map(row => row.cells[index].dataset.sort || row.cells[index].textContent)",
        [name, index],
    )


def test_a_table_is_sorted_by_a_click_both_ways(opened) -> None:
    name = "table-stitch-mixup-iii-reduced"
    heading = opened.locator(f"#{name} + .scroll th button", has_text="top-1, ours")
    before = column(opened, name, 2)
    numbers = ["20.50 ± 0.71 (2 runs)", "30.50 ± 0.71 (2 runs)"]
    assert [text for text in before if "runs" in text] == numbers
    heading.click()
    assert column(opened, name, 2)[:2] == numbers
    heading.click()
    assert column(opened, name, 2)[:2] == numbers[::-1]
    assert heading.locator("xpath=..").get_attribute("aria-sort") == "descending"


def test_a_third_click_restores_the_original_order(opened) -> None:
    name = "table-bag-of-tricks-6"
    before = column(opened, name, 0)
    heading = opened.locator(f"#{name} + .scroll th button").first
    heading.click()
    assert column(opened, name, 0) != before
    heading.click()
    heading.click()
    assert column(opened, name, 0) == before
    assert heading.locator("xpath=..").get_attribute("aria-sort") == "none"


def test_numbers_are_sorted_as_numbers_and_rows_without_one_come_last(opened) -> None:
    name = "table-bag-of-tricks-1"
    heading = opened.locator(f"#{name} + .scroll th button", has_text="top-5, published")
    heading.click()
    index = opened.evaluate(
        "name => [...document.querySelectorAll(`[id='${name}'] + .scroll thead th`)]"
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
    assert "33 values, " in opened.inner_text("#told")
    assert shown(opened, "#account") == 1
    opened.select_option("#paper", "")
    opened.select_option("#label", "AUTHOR-REPO")
    assert shown(opened, "[data-item]") == 94
    opened.select_option("#label", "MEASURED-REDUCED")
    assert shown(opened, "h4[id=table-stitch-mixup-iii-reduced]") == 1
    assert shown(opened, "h4[id=table-bag-of-tricks-6]") == 0
    opened.click("button[type=reset]")
    opened.wait_for_function("document.getElementById('told').textContent === ''")
    assert shown(opened, "[data-item]") == everything


def test_words_are_looked_for_in_every_row(opened) -> None:
    opened.fill("#words", "Vert. Spatial Mixup w/ Distill.")
    assert 0 < shown(opened, "[data-item]") < 20
    opened.fill("#words", "no such words anywhere")
    assert shown(opened, "[data-item]") == 0
    assert shown(opened, "#account") == 0
    assert opened.inner_text("#told").startswith("Nothing matches")


def test_a_filter_opens_lists_with_matches_and_clearing_it_closes_them(opened) -> None:
    opened.fill("#words", "pixel accuracy")
    assert opened.locator("[id^=value-]:visible").count() == 7
    opened.fill("#words", "")
    assert opened.locator("[id^=value-]:visible").count() == 0


def test_every_kind_of_evidence_that_can_be_chosen_has_rows_and_a_meaning(opened) -> None:
    choices = opened.eval_on_selector_all("#label option", "all => all.map(o => o.value)")
    assert set(choices) == {"", "PAPER", "AUTHOR-LOG", "AUTHOR-REPO", "MEASURED-FULL",
                            "MEASURED-REDUCED", "NOT RUN"}  # fmt: skip
    for label in choices[1:]:
        opened.select_option("#label", label)
        assert shown(opened, "[data-item]") > 0
        assert opened.locator(".kinds dt", has_text=label).count() == 1


def test_a_number_leads_to_its_run_which_opens(opened) -> None:
    link = opened.locator("a[href^='#run-']").last
    target = link.get_attribute("href")[1:]
    opened.evaluate("name => { location.hash = name; }", target)
    opened.wait_for_function("name => document.getElementById(name).open", arg=target)
    box = opened.locator(f"[id='{target}']").bounding_box()
    assert 0 <= box["y"] < 900


SEED = "#table-stitch-mixup-iii-reduced + .scroll .seeds a"


def test_a_link_to_what_a_filter_hides_clears_it_and_works_a_second_time(opened) -> None:
    opened.select_option("#label", "PAPER")
    link = opened.locator(SEED).first
    name = link.get_attribute("href")[1:]
    assert shown(opened, f"[id='{name}']") == 0
    link.click()
    for _ in range(2):
        opened.wait_for_function("name => document.getElementById(name).open", arg=name)
        assert 0 <= opened.locator(f"[id='{name}']").bounding_box()["y"] < 900
        assert opened.input_value("#label") == ""
        opened.evaluate("name => { document.getElementById(name).open = false; }", name)
        link.click()


def test_going_back_keeps_the_place(opened) -> None:
    link = opened.locator("#table-bag-of-tricks-6 + .scroll a[href^='#value-']").first
    link.scroll_into_view_if_needed()
    before = opened.evaluate("scrollY")
    link.click()
    opened.wait_for_function("before => Math.abs(scrollY - before) > 1000", arg=before)
    opened.go_back()
    opened.wait_for_function("before => Math.abs(scrollY - before) < 3", arg=before)


def test_the_first_cell_heads_its_row_and_only_boxes_that_scroll_take_the_focus(opened) -> None:
    assert opened.locator("tbody tr > :first-child:not(th[scope=row])").count() == 0
    wrong = opened.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(box => box.offsetParent &&"
        " (box.scrollWidth > box.clientWidth + 1) !== (box.tabIndex === 0)).length"
    )
    assert wrong == 0


def test_without_a_script_there_are_no_tools_and_everything_else_is_there(browser, small) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((small / "index.html").as_uri())
    assert not tab.locator(".tools").is_visible()
    assert tab.locator("th button").count() == 0
    assert tab.locator("#table-bag-of-tricks-6 + .scroll").is_visible()
    context.close()


def test_the_keyboard_reaches_the_filter_sorts_a_table_and_opens_a_run(opened) -> None:
    for _ in range(3):
        opened.keyboard.press("Tab")
        assert opened.evaluate("document.activeElement.className") == "skip"
    opened.keyboard.press("Tab")
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
    drawn = opened.evaluate("document.querySelector('.chart > svg').getBoundingClientRect().width")
    assert 11.5 * drawn / 380 >= 9.5, "the size of the letters of a chart"
    opened.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390


def test_print_is_light_and_shows_the_values_but_neither_tools_nor_closed_runs(opened) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    opened.emulate_media(media="print", color_scheme="dark")
    assert opened.evaluate(ground) == "rgb(255, 255, 255)"
    assert not opened.locator(".tools").is_visible()
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.locator("[id^=value-]").first.is_visible()
    assert opened.locator(".run").first.is_hidden()
    opened.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not opened.evaluate("[...document.querySelectorAll('details')].some(d => d.open)")
    opened.evaluate("document.querySelector('.run').open = true")
    assert opened.locator(".run").first.is_visible()
