"""What pages of training and conversion share: the look of plots, and how templates are read."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from device.workstation.plot_style import FIRST, INK, RULE, SECOND, STYLE, inline
from device.workstation.templates import environment

SVG = f"""<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" width="345pt" viewBox="0 0 345 216" version="1.1">
<metadata><a href="http://purl.org/dc">about</a></metadata>
<defs><style type="text/css">*{{stroke-linejoin: round}}</style></defs>
<g id="figure_1"><path style="stroke: {FIRST}"/><path style="stroke: {SECOND}"/>
<text style="fill: {INK}">epoch</text><path style="stroke: {RULE}"/></g>
</svg>
"""


def test_a_plot_becomes_an_element_in_the_colours_of_the_page() -> None:
    element = inline(SVG, "Loss")
    assert element.startswith('<svg viewBox="0 0 345 216" role="img" aria-label="Loss">')
    assert "#0a0b0" not in element
    for colour in ("training", "accent", "muted", "rule"):
        assert f"var(--{colour})" in element
    assert ">epoch</text>" in element


def test_nothing_of_it_reaches_beyond_its_place_on_the_page() -> None:
    element = inline(SVG, "Loss")
    assert "http" not in element, "no address"
    assert "<style" not in element, "no rule for other elements"
    assert " id=" not in element, "no name that another plot has, too"


def test_a_wide_plot_keeps_a_width_that_can_be_read() -> None:
    assert "min-width" in inline(SVG, "Layers", wide=True)
    assert "min-width" not in inline(SVG, "Loss")


def test_every_colour_of_the_style_is_one_that_the_page_replaces() -> None:
    colours = {value for value in STYLE.values() if isinstance(value, str) and "#" in value}
    assert colours == {INK, RULE}


def test_templates_escape_names_and_refuse_one_that_is_not_given(tmp_path: Path) -> None:
    (tmp_path / "page.html.j2").write_text("{{ name }}")
    page = environment(tmp_path).get_template("page.html.j2")
    assert page.render(name="<b>") == "&lt;b&gt;"
    with pytest.raises(UndefinedError, match="name"):
        page.render()


def test_the_first_folder_that_has_a_template_gives_it(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "both").write_text(folder)
    (tmp_path / "b" / "one").write_text("only b")
    templates = environment(tmp_path / "a", tmp_path / "b")
    assert templates.get_template("both").render() == "a"
    assert templates.get_template("one").render() == "only b"
