"""The tables of docs/result.md and the JSON Schema, made from the model.

`make docs` writes both anew; a test holds that they are.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import resources
from pathlib import Path

from pydantic import BaseModel

from sim.result import model
from sim.result.model import ResultFile

SCHEMA_FILE = "data/result.schema.json"
_KEYS = re.compile(r"(<!-- keys: (\w+) -->\n).*?(<!-- end of keys -->)", re.DOTALL)


def table(part: type[BaseModel]) -> str:
    """Return the keys of an object as a Markdown table."""
    rows = []
    for name, field in part.model_fields.items():
        extra = field.json_schema_extra
        unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
        rows.append([f"`{field.alias or name}`", unit, field.description or ""])
    heads = ["key", "unit", "meaning"]
    if not any(unit for _, unit, _ in rows):
        heads, rows = ["key", "meaning"], [[key, meaning] for key, _, meaning in rows]
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n".replace("|  |", "| |") for cells in lines)


def with_tables(text: str) -> str:
    """Return a page with each table between its marks, `<!-- keys: NAME -->`, made anew."""
    return _KEYS.sub(lambda marks: marks[1] + table(getattr(model, marks[2])) + marks[3], text)


def json_schema() -> str:
    """Return the JSON Schema of a result file, made from the model."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ResultFile.model_json_schema(),
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def shipped_schema() -> str:
    """Return the JSON Schema that is shipped."""
    return (resources.files("sim.result") / SCHEMA_FILE).read_text(encoding="utf-8")


def main(page: str) -> None:
    """Write the tables of `page` and the shipped schema."""
    path = Path(page)
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
    Path(__file__).with_name("data").joinpath("result.schema.json").write_text(
        json_schema(), encoding="utf-8"
    )


if __name__ == "__main__":
    main(sys.argv[1])
