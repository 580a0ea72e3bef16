"""The audit as text for the terminal: estimator beside machine, and the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from sim.report.tables import NAME_CELLS, Count, Row, Table, cut, sections_text, wrap

if TYPE_CHECKING:
    from sim.check.audit import Audit

__all__ = ["render_audit"]


def render_audit(
    audits: Sequence[Audit], network: str, *, width: int = 80, color: bool = False
) -> str:
    """Show every count of the estimator beside the machine's, by layer, and why they differ."""
    hw = audits[0].plan.hw
    lines = [line for audit in audits for line in audit.lines]
    equal = sum(line.agrees for line in lines)
    head = [
        cut(f"{network}: the first-order estimator beside {hw.name}", width),
        *wrap(
            f"One image, every weight kept. {equal} of {len(lines)} counts agree. Ratio: machine "
            "over estimator; the factors of its reasons multiply to it.",
            width,
        ),
    ]
    return sections_text([head, *(_audit(audit, width) for audit in audits)], color)


def _audit(audit: Audit, width: int) -> list[str]:
    mapping = " ".join(f"{name}={value}" for name, value in audit.plan.mapping.to_dict().items())
    rows: list[Row] = [
        [
            line.count,
            Count(line.estimator),
            Count(line.machine),
            "equal" if line.agrees else _factor(line.ratio),
        ]
        for line in audit.lines
    ]
    title = f"{cut(audit.plan.layer.name, NAME_CELLS)} ({mapping})"
    counts = Table(title, ("count", "estimator", "machine", "ratio"), rows)
    why: dict[tuple[str, Fraction | None], list[str]] = {}
    remarks: dict[str, list[str]] = {}
    for line in audit.lines:
        for reason in line.reasons:
            why.setdefault((reason.text, reason.factor), []).append(line.count)
        if line.remark:
            remarks.setdefault(line.remark, []).append(line.count)
    lines = counts.lines(width)
    for (text, factor), names in why.items():
        times = f", times {_factor(factor)}" if factor is not None else ""
        lines += _hanging(f"{', '.join(names)}{times}: {text}.", width)
    for text, names in remarks.items():
        lines += _hanging(f"{', '.join(names)}: {text}.", width)
    return [title, *lines]


def _hanging(text: str, width: int) -> list[str]:
    first, *rest = wrap(text, width - 2, "    ")
    return [first[2:], *rest]


def _factor(value: Fraction | None) -> str:
    if value is None:
        return "-"
    return str(value) if value.denominator == 1 else f"{float(value):.4g}"
