"""The radial view as a page of its own that needs nothing: to be saved, or shown in a cell of a notebook.

Everything is in the text of the page: styles, the graphs, and the scripts of `assets/page` as one classic script. An
import map of `data:` addresses would do in a browser; but where notebooks bound what a page may run, it is this alone.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Literal, TypeAlias

from attnflow.bundled import PAGE
from attnflow.views.payloads import Radial

START = "radial/standalone.js"
"""The module whose `start` draws the page."""
Theme: TypeAlias = Literal["auto", "light", "dark"]
"""`auto` is that of what the page stands in, or of the reader's machine."""

IMPORT = re.compile(r'^import (?:\* as (\w+)|\{ ([^}]*) \}) from "(\.[^"]+)";$', re.MULTILINE)
"""An import of another module of ours; each stands in a line of its own."""
EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)
"""The beginning of what a module exports."""


def standalone(
    figure: Radial,
    texts: Iterable[str],
    *,
    said: str = "",
    state: Mapping[str, str] | None = None,
    theme: Theme = "auto",
) -> str:
    """An HTML document that shows the radial view with all its interaction, and asks for no file.

    Args:
        figure: The radial view.
        texts: The sentences that were read.
        said: What stands above it.
        state: What is shown first, by the names of the page's address (`view`, `select`, …).
        theme: Of its colours.
    """
    names = " and ".join(model["name"] for model in figure["models"])
    above = "".join(f"<p>{html.escape(one)}</p>" for one in (*texts, said, f"{figure['threshold']}.") if one)
    told = ", ".join(map(_literal, (json.dumps(figure, allow_nan=False), dict(state or {}), theme)))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Attention flow of {html.escape(names)}</title>
<style>{_read("panels.css")}{_read("radial/standalone.css")}</style></head>
<body><main class="gradio-container"><h2>{html.escape(names)}</h2>{above}{_read("radial/radial.html")}</main>
<script>{bundle()}.start(document.querySelector("main"), {told});</script></body></html>
"""


def _literal(value: object) -> str:
    """A value as JavaScript that may stand in a page: no text of it ends the script."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


@cache
def bundle() -> str:
    """An expression of JavaScript that is the module `START`, with all that it imports inside."""
    order: dict[str, str] = {}
    _collect(START, order, ())
    modules = "\n".join(f"const {_name(path)} = (() => {{\n{code}\n}})();" for path, code in order.items())
    return f'(() => {{ "use strict";\n{modules}\nreturn {_name(START)}; }})()'


def _collect(path: str, order: dict[str, str], on_the_way: tuple[str, ...]) -> None:
    """Add a module to those it imports, as the body of a function that returns what it exports."""
    if path in order:
        return
    assert path not in on_the_way, f"modules import each other in a circle: {' '.join((*on_the_way, path))}"

    def imported(match: re.Match[str]) -> str:
        whole, names, relative = match.groups()
        other = (PAGE / path).parent.joinpath(relative).resolve().relative_to(PAGE.resolve()).as_posix()
        _collect(other, order, (*on_the_way, path))
        return f"const {whole or f'{{ {names} }}'.replace(' as ', ': ')} = {_name(other)};"

    source = IMPORT.sub(imported, _read(path))
    names = [match[2] for match in EXPORT.finditer(source)]
    code = EXPORT.sub(r"\1", source).replace("</script", "<\\/script")
    order[path] = f"{code}return {{ {', '.join(names)} }};"


def _name(path: str) -> str:
    """The variable that a module is in."""
    return "$" + re.sub(r"\W", "_", path.removesuffix(".js"))


@cache
def _read(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")
