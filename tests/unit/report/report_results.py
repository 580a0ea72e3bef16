"""Results that several report tests read; made once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from sim.account.result import Result
from sim.report.load import of_result
from sim.result.model import ResultFile
from sim.run import run


@cache
def lenet() -> Result:
    return run("lenet5", batch=2)


@cache
def lenet_file() -> ResultFile:
    return of_result(lenet())


@cache
def conv12() -> Result:
    return run("vgg16", layers=["CONV1-2"], batch=1)


def plain(result: Result) -> dict[str, Any]:
    """The result as a file would hold it, to be changed at will."""
    found: dict[str, Any] = json.loads(json.dumps(result.to_dict()))
    return found


def written(data: object, path: Path) -> str:
    path.write_text(json.dumps(data), encoding="utf-8")
    return str(path)


HOSTILE = "</script><img src=x onerror=alert(1)>"


def hostile_data() -> dict[str, Any]:
    """A result whose every text tries to break out of the page."""
    data = plain(lenet())
    data["network"] = f"{HOSTILE}{{{{data}}}}{{{{script}}}}"
    data["notes"] = [f"<b>{HOSTILE}</b> <!--<script>", "\u2028 & é"]
    data["refused"] = [{"name": HOSTILE, "reasons": [HOSTILE]}]
    layer = data["layers"][0]
    layer["name"] = layer["shape"]["name"] = HOSTILE
    layer["mapping_source"] = HOSTILE
    layer["eyexam"][0]["reason"] = HOSTILE
    layer["energy"]["table"] = HOSTILE
    data["hw"]["name"] = HOSTILE
    return data
