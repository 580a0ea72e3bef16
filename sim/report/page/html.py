"""The report: one HTML file that needs neither a server nor a network (docs/report.md).

The page holds its figures as JSON and are drawn by its own script, which puts every text from
a file into the page as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

from hw_models.vocabulary import Cause, DataType, Lane, Level, Phase
from sim.report.diagnosis import MOST_ADVISED, layer_story, network_story, slowest
from sim.report.page.compare import compare
from sim.report.views import View, plain, views
from sim.result.model import ResultFile


def page_data(results: Sequence[tuple[str, ResultFile]]) -> dict[str, Any]:
    """Return everything that the page shows of the results, each with its label, as plain data."""
    return {
        "words": _words(),
        "runs": [_run(label, result) for label, result in results],
        "comparison": compare(results) if len(results) > 1 else None,
    }


def _words() -> dict[str, dict[str, Any]]:
    """Return the words of the vocabulary that the page's script writes."""
    return {
        "causes": {cause: cause.label for cause in Cause},
        "data_types": {data: data.label for data in DataType},
        "levels": {level: level.label for level in Level},
        "lanes": {lane: {"label": lane.label, "data": lane.data} for lane in Lane},
        "phases": {phase: f"{phase}: {phase.sentence}" for phase in Phase},
    }


def _colours() -> str:
    """Return the vocabulary's colours as CSS variables, on light and on dark pages."""
    light, dark = [], []
    for prefix, words in (("c", Cause), ("d", DataType), ("p", Phase)):
        for word in words:
            light.append(f"--{prefix}-{word}: {word.colour};")
            dark += [f"--{prefix}-{word}: {word.dark};"] if word.dark else []
    return (
        f":root {{ {' '.join(light)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {' '.join(dark)} }} }}\n"
    )


def _run(label: str, result: ResultFile) -> dict[str, Any]:
    by_name = {layer.name: layer for layer in result.layers}
    advised = {layer.name for layer in slowest(result.layers)[:MOST_ADVISED]}

    def story(view: View) -> list[dict[str, Any]]:
        if view.whole:
            return network_story(result, view)
        return layer_story(result, by_name[view.name], view, advised=view.name in advised)

    hw = result.hw
    return {
        "label": label,
        "network": result.network,
        "batch": result.batch,
        "simulated": result.simulated,
        "hw": {
            "name": hw.name,
            "rows": hw.array.rows,
            "columns": hw.array.columns,
            "pes": hw.pes,
            "core_mhz": hw.clock.core_mhz,
            "link_mhz": hw.clock.link_mhz,
            "words": str(hw.word_bits),
        },
        "notes": list(result.notes),
        "refused": [{"name": layer.name, "reasons": layer.reasons} for layer in result.refused],
        "values": [
            {"layer": layer.name, "elements": layer.values.elements, "wrong": layer.values.wrong}
            for layer in result.layers
            if layer.values is not None
        ],
        "views": [{**plain(view), "story": story(view)} for view in views(result)],
    }


def render_page(results: Sequence[tuple[str, ResultFile]]) -> str:
    """Return the page of one result, or of several side by side, each with its label."""
    data = page_data(results)
    label = ", ".join(dict.fromkeys(result.network for _, result in results))
    script, style = _asset("report.js"), _colours() + _asset("report.css")
    parts = {
        "policy": _policy(script, style),
        "title": html.escape(f"{label} - eyeriss-sim"),
        "style": style,
        "script": script,
        "data": script_json(data),
    }
    # In one pass over the template: what is put in is never looked through for marks.
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], _asset("report.html"))


def script_json(data: Any) -> str:
    """Return `data` as JSON for a script element; no text in it can end that or be a comment."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _policy(script: str, style: str) -> str:
    """Return a content policy that lets the page's own script and style run and nothing else."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; "
        f"style-src 'sha256-{digest(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (resources.files("sim.report.page") / "assets" / name).read_text(encoding="utf-8")
