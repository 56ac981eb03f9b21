"""The style of plots on our pages, and how an SVG file from matplotlib becomes part of a page.

Only settings and text: the modules that draw import matplotlib themselves.
"""

import re
from collections.abc import Mapping
from typing import Any

INK, RULE, FIRST, SECOND = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"
"""Placeholders: the page replaces them with its own colours for light and dark mode."""
_COLOURS = {
    INK: "var(--muted)",
    RULE: "var(--rule)",
    FIRST: "var(--training)",
    SECOND: "var(--accent)",
}
STYLE: Mapping[str, Any] = {
    # As text, labels follow the reader's fonts; as paths they would double the page.
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
"""Matplotlib's rc settings that differ from its defaults."""
SAVING: Mapping[str, Any] = {"format": "svg", "transparent": True, "metadata": {"Date": None}}
"""Arguments of `savefig`: the same plot gives the same bytes."""
_WIDE = ' style="max-width:none;min-width:44rem"'


def inline(svg: str, title: str, *, wide: bool = False) -> str:
    """Make an SVG file of matplotlib an element of a page, in the page's colours.

    Args:
        svg: the file. It goes into the page as it is: no text in it may need escaping beyond
            matplotlib's.
        title: what a screen reader says.
        wide: it keeps a width that can be read, and scrolls on a narrow screen.
    """
    body = svg[svg.index("<svg") :]
    # Metadata names a web address, the style rule is meant for all elements of a file, and group
    # ids would stand on the page once per plot.
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    viewbox = re.search(r'viewBox="[^"]*"', body)
    assert viewbox is not None
    head = f'<svg {viewbox[0]} role="img" aria-label="{title}"{_WIDE if wide else ""}>'
    body = re.sub(r"<svg[^>]*>", head, body, count=1)
    for stand_in, colour in _COLOURS.items():
        body = body.replace(stand_in, colour)
    return body
