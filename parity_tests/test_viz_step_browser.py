"""The page of `viz.step` in headless Chromium: keys, slider, search, and the numbers it shows."""

from __future__ import annotations

import time

import numpy as np
import pytest

from minigrad import viz
from parity_tests.browser import Browser, missing
from parity_tests.harness import candidate
from parity_tests.test_viz_step import array, content, many_nodes, model_and_loss

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def lib():
    return candidate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if missing():
        pytest.skip(missing())
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def opened(lib, browser, tmp_path):
    """The page of the perceptron in the browser, at its first step."""
    net, loss = model_and_loss(lib)
    path = viz.step(loss, tmp_path / "page.html", names=net.named_parameters())
    browser.window(1200, 800)
    browser.prefer(prefers_color_scheme="light", prefers_reduced_motion="reduce")
    browser.open(path)
    loss().backward()
    yield net, content(path)
    assert browser.complaints() == []


def step_of(browser):
    return int(browser.run("document.querySelector('#count').textContent").split(" / ")[0]) - 1


def test_it_loads(browser, opened):
    net, data = opened
    assert step_of(browser) == 0
    assert browser.run("document.querySelectorAll('.node').length") == len(data["nodes"])
    assert browser.run("document.querySelector('h2').textContent") == "AddBackward0"
    assert browser.run("document.querySelectorAll('#details math').length") > 0
    mover = "document.querySelector('#details math').getBoundingClientRect()"
    assert browser.run(f"{mover}.width > 0 && {mover}.height > 0")


def test_keys(browser, opened):
    _, data = opened
    end = len(data["steps"]) - 1
    for key, expected in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1),
                          ("ArrowDown", 2), ("ArrowUp", 1), ("End", end), ("ArrowRight", end),
                          ("Home", 0), ("ArrowLeft", 0)]:
        browser.press(key)
        assert step_of(browser) == expected, key
    spoken = browser.run("document.querySelector('[aria-live]').textContent")
    assert spoken.startswith(
        f"Step 1 of {end + 1}: AddBackward0. Gradient () arrives; sends to")


def test_playing(browser, opened):
    _, data = opened
    browser.run("document.querySelector('#speed').value = '10'")
    browser.press(" ")
    assert browser.run("document.querySelector('#play').ariaLabel") == "Pause"
    browser.wait_for(f"document.querySelector('#count').textContent.startsWith"
                     f"('{len(data['steps'])} /')")
    assert browser.run("document.querySelector('#play').ariaLabel") == "Play", "it has stopped"
    browser.click("#play")
    assert step_of(browser) == 0, "once more from the beginning"
    browser.press("ArrowRight")
    assert browser.run("document.querySelector('#play').ariaLabel") == "Play", "taken over"


def test_the_slider(browser, opened):
    _, data = opened
    browser.run("document.querySelector('#slider').focus()")
    browser.press("ArrowRight")
    assert step_of(browser) == 1
    browser.press("End")
    assert step_of(browser) == len(data["steps"]) - 1
    assert browser.run("document.querySelector('#slider').getAttribute('aria-valuetext')"
                       ).endswith(": TBackward0")
    browser.click("#slider")
    assert step_of(browser) == round((len(data["steps"]) - 1) / 2)


def test_the_numbers_are_those_of_grad(browser, opened):
    net, data = opened
    browser.press("End")
    for place, parameter in enumerate(net.parameters()):
        shown = browser.run(
            f"[...document.querySelectorAll('[data-leaf=\"{place}\"] [data-value]')]"
            ".map((cell) => [cell.dataset.value, cell.textContent])")
        exact = array(parameter.grad).ravel()
        np.testing.assert_array_equal(np.array([each for each, _ in shown], np.float32), exact)
        rounded = [float(text.replace("\u2212", "-")) for _, text in shown]
        np.testing.assert_allclose(rounded, exact, rtol=5.1e-3, atol=1e-30)
        state = f"document.querySelector('[data-leaf=\"{place}\"] .state').textContent"
        assert browser.run(state).endswith("complete")


def test_every_step_shows_its_tensors(browser, opened):
    _, data = opened
    for step in data["steps"]:
        shown = browser.run("[...document.querySelectorAll('#details > section:not(:last-child)"
                            " [data-tensor]')].map((each) => Number(each.dataset.tensor))")
        assert shown == [*step["in"], *(sent[2] for sent in step["out"])]
        kind = data["kinds"][step["kind"]]
        assert browser.run("[...document.querySelectorAll('.rule pre')].map((each) => "
                           "each.textContent)") == [rule["source"] for rule in kind["rules"]]
        browser.press("ArrowRight")


def test_search(browser, opened):
    _, data = opened
    browser.press("/")
    browser.type("addmm")
    assert browser.run("document.querySelector('#found').textContent") == "2 found"
    assert browser.run("document.querySelectorAll('.node.match').length") == 2
    addmm = [number for number, step in enumerate(data["steps"])
             if data["kinds"][step["kind"]]["name"] == "AddmmBackward0"]
    for expected in (*addmm, addmm[0]):
        browser.press("Enter")
        assert step_of(browser) == expected
    browser.run("document.querySelector('#query').value = ''")
    browser.type("2.bias")
    browser.press("Enter")
    changed = "document.querySelector('.gathered.changed strong').textContent"
    assert browser.run(changed) == "2.bias"
    browser.type(" nowhere")
    assert browser.run("document.querySelector('#found').textContent") == "none found"


def test_pointing(browser, opened):
    _, data = opened
    node = data["steps"][2]["node"]
    browser.click(f'[data-node="{node}"]')
    assert step_of(browser) == 2
    assert "step 3" in browser.run("document.querySelector('#hint:not([hidden])').textContent")
    before = browser.run("document.querySelector('#world').style.transform")
    browser.click('[data-zoom="in"]')
    assert browser.run("document.querySelector('#world').style.transform") != before
    before = browser.run("document.querySelector('#world').style.transform")
    browser.send("Input.dispatchMouseEvent", type="mouseWheel", x=300, y=300, deltaX=0,
                 deltaY=-90)
    browser.wait_for(f"document.querySelector('#world').style.transform !== '{before}'")
    before = browser.run("document.querySelector('#world').style.transform")
    for kind, x in (("mousePressed", 40), ("mouseMoved", 90), ("mouseReleased", 90)):
        browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=300, button="left",
                     buttons=1, clickCount=1)
    assert browser.run("document.querySelector('#world').style.transform") != before
    assert step_of(browser) == 2, "moved, not clicked"
    browser.click("[data-step]")
    assert step_of(browser) == 1, "by the link to who sent it"
    assert browser.run("document.activeElement.id") == "details"


def test_themes(browser, opened):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(colour)
    browser.prefer(prefers_color_scheme="dark")
    browser.wait_for("document.documentElement.dataset.theme === 'dark'")
    dark = browser.run(colour)
    assert light != dark
    browser.click("#theme")
    assert browser.run(colour) == light


@pytest.mark.parametrize("width, height", [(390, 844), (320, 568), (1600, 900)])
def test_nothing_is_cut_off(browser, opened, width, height):
    browser.window(width, height, phone=width < 500)
    for _ in range(3):
        assert browser.run("document.documentElement.scrollWidth") <= width
        outside = browser.run(
            "[...document.querySelectorAll('button, input, select, h2, h3, pre')]"
            f".filter((each) => each.getBoundingClientRect().right > {width} + 1)"
            ".map((each) => each.outerHTML)")
        assert outside == []
        browser.press("ArrowRight")


def test_everything_has_a_name(browser, opened):
    """What can be focused has a role and a name for those who do not see it."""
    browser.send("Accessibility.enable")
    tree = browser.send("Accessibility.getFullAXTree")["nodes"]
    told = [(node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree if not node["ignored"] and any(
                each["name"] == "focusable" and each["value"]["value"]
                for each in node.get("properties", ()))]
    roles = {role for role, _ in told}
    assert {"button", "slider", "searchbox", "combobox", "link"} <= roles
    assert not [each for each in told if not each[1]]
    everything = {(node["role"]["value"], node.get("name", {}).get("value", ""))
                  for node in tree if not node["ignored"]}
    assert ("slider", "Step") in everything and ("article", "The step") in everything
    assert ("button", "AddBackward0, step 1") in everything
    assert any(role == "status" for role, _ in everything)


def test_a_graph_of_five_hundred(lib, browser, tmp_path):
    leaves, loss = many_nodes(lib, 500)
    browser.window(1200, 800)
    browser.open(viz.step(loss, tmp_path / "page.html"), "#250")
    assert step_of(browser) == 249
    started = time.perf_counter()
    for _ in range(10):
        browser.press("ArrowRight")
    assert step_of(browser) == 259 and time.perf_counter() - started < 10
    node = "document.querySelector('.current').getBoundingClientRect()"
    assert browser.run(f"{node}.left > 0 && {node}.top > 0 && {node}.bottom < 800")
    assert browser.complaints() == []
