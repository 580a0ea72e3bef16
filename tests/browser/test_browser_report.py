"""The page in a real browser: AlexNet at batch 4, hovered, switched, read back, and looked over."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium_driver import MISSING, Browser

from sim.account.result import Result
from sim.report.load import check_result, of_result
from sim.report.page.html import render_page
from sim.run import estimate, run

pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")

MOST_BYTES = 8 << 20
FIRST_PAINT_MS = 2000
ARROW_RIGHT, ARROW_DOWN = "\ue014", "\ue015"


@pytest.fixture(scope="module")
def alexnet() -> Result:
    return run("alexnet", batch=4)


@pytest.fixture(scope="module")
def page(alexnet: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "alexnet.html"
    file.write_text(render_page([("alexnet", of_result(alexnet))]), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with Browser(1280, 900) as found:
        yield found


def first_paint(window: Browser) -> float:
    """When the page was first painted, ms after it was asked for; it is booked some time later."""
    for _ in range(50):
        paint = window.script(
            "const e = performance.getEntriesByName('first-contentful-paint')[0];"
            "return e ? e.startTime : null"
        )
        if paint is not None:
            return float(paint)
        time.sleep(0.1)
    raise AssertionError("never painted")


def test_opens_without_an_error(page: Path, window: Browser) -> None:
    assert page.stat().st_size < MOST_BYTES
    window.log()
    window.open(page)
    assert window.log() == []
    assert window.text("h1") == "alexnet on eyeriss_v1"
    assert first_paint(window) < FIRST_PAINT_MS
    # Nothing was asked for from anywhere.
    assert window.script("return performance.getEntriesByType('resource').length") == 0


def test_figures_of_every_layer(page: Path, window: Browser, alexnet: Result) -> None:
    window.open(page)
    for place, layer in enumerate(alexnet.layers, 1):
        window.script(
            "const s = document.getElementById('layer'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('change'))",
            place,
        )
        assert window.text("#view-name") == layer.layer.name
        tiles = window.text(".tiles")
        assert f"{layer.processing_cycles:,} cycles" in tiles
        assert f"{layer.active_pes} of 168" in tiles
        reached = window.script(
            "return [...document.querySelectorAll('#eyexam li .value b')].map(b => b.textContent)"
        )
        assert reached[-1] == f"{layer.macs / layer.processing_cycles:,.2f}"
        assert len(reached) == 7
        stalls = window.script("return document.querySelector('#stalls table').textContent")
        for cycles in layer.cycles_by_cause.values():
            assert f"{cycles:,}" in stalls
    assert window.log() == []


def test_hover_a_pe(page: Path, window: Browser, alexnet: Result) -> None:
    window.open(page)
    window.click("#layers .link")  # CONV1
    layer = alexnet.layers[0]
    assert window.text("#view-name") == "CONV1"
    for row, column in ((0, 0), (3, 6), (10, 13), (11, 0)):
        window.hover(f"#pe-map rect[data-row='{row}'][data-column='{column}']")
        panel = window.text("#pe-panel")
        assert f"PE in row {row}, column {column}" in panel
        assert f"{int(layer.pe_macs[row, column]):,} products" in panel
        for cycles in layer.pe_cycles.values():
            if cycles[row, column]:
                assert f"{int(cycles[row, column]):,}" in panel
    assert "In no PE set" in panel  # sets of 11 x 7 leave row 11


def test_keyboard_alone(page: Path, window: Browser) -> None:
    window.open(page)
    at = "#pe-map rect[data-row='0'][data-column='0']"
    window.press(at, ARROW_RIGHT)
    assert "PE in row 0, column 1" in window.text("#pe-panel")
    window.press("#pe-map rect[data-row='0'][data-column='1']", ARROW_DOWN)
    assert "PE in row 1, column 1" in window.text("#pe-panel")
    window.script("document.getElementById('on').focus()")
    window.press("#on", "\ue007")
    assert window.text("#view-name") == "CONV1"
    # One stop for the whole map, and every control has a name.
    stops = window.script("return document.querySelectorAll('#pe-map [tabindex=\"0\"]').length")
    assert stops == 1
    nameless = window.script(
        "return [...document.querySelectorAll('button, select, input')].filter("
        "n => !(n.textContent.trim() || n.getAttribute('aria-label') || n.closest('label'))).length"
    )
    assert nameless == 0


def test_colours_of_the_map(page: Path, window: Browser) -> None:
    window.open(page)
    window.script("location.hash = '#0/1'")
    time.sleep(0.2)
    for mode in ("cause", "place", "busy"):
        window.click(f"input[name=map][value={mode}]")
        assert window.script("return document.querySelectorAll('#pe-map rect').length") == 168
    window.click("input[name=map][value=place]")
    assert window.script("return document.querySelector('#pe-map .in').textContent") == "A0"
    assert window.log() == []


def test_every_picture_has_its_numbers(page: Path, window: Browser) -> None:
    window.open(page)
    for view in (0, 1, 6):
        window.script("location.hash = arguments[0]", f"#0/{view}")
        time.sleep(0.2)
        bare = window.script(
            "return [...document.querySelectorAll('main > section')].filter("
            "s => !s.querySelector('details, table')).map(s => s.id)"
        )
        assert bare == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_fits_its_width(width: int, page: Path) -> None:
    with Browser(width, 800, phone=width < 700) as found:
        found.open(page)
        for view in range(9):
            found.script("location.hash = arguments[0]", f"#0/{view}")
            time.sleep(0.1)
            wide = found.script(
                "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
            )
            assert wide[0] <= wide[1], f"view {view} is {wide[0]} wide"
        assert found.log() == []


def test_text_from_a_file_stays_text(tmp_path: Path, window: Browser) -> None:
    hostile = "</script><img src=x onerror=\"document.title='broken'\">"
    data = json.loads(json.dumps(run("lenet5", layers=["C1"]).to_dict()))
    layer = data["layers"][0]
    layer["name"] = layer["shape"]["name"] = hostile
    data["network"] = data["hw"]["name"] = hostile
    data["notes"] = [hostile]
    layer["eyexam"][0]["reason"] = hostile
    found = check_result(data, "r.json")
    file = tmp_path / "hostile.html"
    file.write_text(render_page([(hostile, found), ("b", found)]), encoding="utf-8")
    window.log()
    window.open(file)
    assert window.log() == []
    assert window.script("return document.images.length") == 0
    assert window.script("return document.title") == f"{hostile} - eyeriss-sim"
    assert hostile in window.script("return document.getElementById('view').textContent")


def test_runs_side_by_side(tmp_path: Path, window: Browser) -> None:
    two = [
        (mapping, of_result(estimate("vgg16", layers=["CONV1-2"], batch=1, mapping=mapping)))
        for mapping in ("published", "auto")
    ]
    file = tmp_path / "two.html"
    file.write_text(render_page(two), encoding="utf-8")
    window.log()
    window.open(file)
    assert window.log() == []
    assert "published" in window.text("#compare")
    assert "bound by psum bus" in window.text("#compare")
    window.script(
        "const s = document.getElementById('run'); s.value = 1;s.dispatchEvent(new Event('change'))"
    )
    assert window.text("#view-name") == "auto: CONV1-2"


@pytest.fixture(scope="module")
def mappings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two mappings of two layers of VGG-16."""
    two = [
        (label, of_result(estimate("vgg16", layers=["CONV1-1", "CONV1-2"], batch=1, mapping=name)))
        for label, name in (("as published", "published"), ("a/b", "auto"))
    ]
    file = tmp_path_factory.mktemp("mappings") / "two.html"
    file.write_text(render_page(two), encoding="utf-8")
    return file


def test_links_lead_to_a_layer_by_name(page: Path, mappings: Path, window: Browser) -> None:
    def follow(hash_: str) -> str:
        window.script("location.hash = arguments[0]", hash_)
        time.sleep(0.2)
        return window.text("#view-name")

    window.open(page)
    assert follow("#alexnet/CONV3") == "CONV3"
    assert follow("#AlexNet/conv5") == "CONV5"
    assert follow("#alexnet/none") == "CONV5"  # nowhere: the page stays
    assert follow("#view") == "CONV5"
    assert follow("#%E0%A4%A") == "CONV5"
    assert follow("#alexnet") == "whole network"
    assert follow("#0/2") == "CONV2"  # as earlier pages numbered them
    window.click("#on")
    assert window.script("return location.hash") == "#alexnet/CONV3"
    window.click("#back")
    window.script("location.reload()")
    time.sleep(0.5)
    assert window.text("#view-name") == "CONV2"
    window.open(mappings)
    assert follow("#vgg16/CONV1-2") == "as published: CONV1-2"
    assert follow("#as published/CONV1-1") == "as published: CONV1-1"
    assert follow("#a%2Fb/CONV1-2") == "a/b: CONV1-2"
    window.click("#back")
    assert window.script("return location.hash") == "#a%2Fb/CONV1-1"
    window.click("#back")
    assert window.script("return location.hash") == "#a%2Fb"
    assert window.log() == []


def test_a_comparison_can_be_read_on_a_phone(mappings: Path) -> None:
    with Browser(390, 800, phone=True) as phone:
        phone.open(mappings)
        phone.script("document.querySelectorAll('#compare details').forEach(d => d.open = true)")
        # Nothing has to be scrolled sideways, and every cell says whose it is.
        assert (
            phone.script(
                "return [...document.querySelectorAll('#compare .scroll')].filter("
                "s => s.scrollWidth > s.clientWidth).length"
            )
            == 0
        )
        cells = phone.script(
            "return [...document.querySelectorAll('#compare td')].map(td => ["
            "getComputedStyle(td, '::before').content, td.getBoundingClientRect().width,"
            "td.querySelector('span').getClientRects().length])"
        )
        assert len(cells) > 50
        assert {content for content, _, _ in cells} == {'"as published"', '"a/b"'}
        assert min(width for _, width, _ in cells) > 300
        labels = phone.script(
            "return [...document.querySelectorAll('#compare .label')].map("
            "l => l.getBoundingClientRect().height)"
        )
        assert max(labels) < 30  # one line
        assert phone.log() == []


def test_traffic_of_two_mappings(mappings: Path, window: Browser) -> None:
    window.open(mappings)
    window.script("location.hash = '#vgg16/CONV1-2'")
    time.sleep(0.2)
    assert "Traffic on the networks, CONV1-2" in window.text("#noc")
    before, after = (
        estimate("vgg16", layers=["CONV1-2"], batch=1, mapping=name).layers[0].entries
        for name in ("published", "auto")
    )
    window.script("document.querySelector('#noc details').open = true")
    text = window.text("#noc table")
    for network in ("gin_filter", "gin_ifmap", "gin_psum", "gon_psum"):
        for what in ("words", "deliveries"):
            mine, other = (one[f"noc.{network}.{what}"] for one in (before, after))
            change = 100 * (other / mine - 1)
            sign = "±" if abs(change) < 0.05 else "+" if change > 0 else "−"
            assert f"{mine:,}" in text
            assert f"{other:,} ({sign}{abs(change):,.1f} %)" in text
    window.script("location.hash = '#vgg16'")
    time.sleep(0.2)
    assert "Traffic on the networks, all layers" in window.text("#noc")
