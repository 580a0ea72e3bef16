"""The calibration as text for the terminal: powers measured and fitted, and the errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.report.tables import Note, Section, Table, sections_text

if TYPE_CHECKING:
    from sim.reference.calibration import Calibration

__all__ = ["render_calibration"]


def render_calibration(fit: Calibration, *, width: int = 80, color: bool = False) -> str:
    """Show measured and fitted power of each layer, the errors, and the shares of power."""
    heads = ["network", "layer", "measured\nmW", "fitted\nmW", "left out\nmW", "error\n%",
             "in a run\nmW", "error\n%"]  # fmt: skip
    rows: list[list[str] | None] = [
        [
            layer.network,
            layer.layer,
            f"{layer.measured_mw:.0f}",
            f"{layer.fitted_mw:.1f}",
            f"{layer.left_out_mw:.1f}",
            f"{100 * layer.left_out_error:+.1f}",
            f"{layer.run_mw:.1f}",
            f"{100 * layer.run_error:+.1f}",
        ]
        for layer in fit.layers
    ]
    worst = fit.worst
    errors = (
        f"Mean error {100 * fit.fitted_error:.1f} % fitted, {100 * fit.left_out_error:.1f} % "
        f"left out (worst {worst.network} {worst.layer}, {100 * worst.left_out_error:+.1f} %), "
        f"{100 * fit.run_error:.1f} % in a run. Left out: with the prices of the other layers. "
        "In a run: energy over the simulated total latency, as `run` and `estimate` print it; "
        "fitted and left out are over the published one."
    )
    published = fit.to_dict()["shares"]["published"]
    parts: list[list[str] | None] = [
        [part, f"{100 * published[part]:.1f}", f"{100 * share:.1f}"]
        for part, share in fit.shares.items()
    ]
    scales: list[list[str] | None] = [[name, f"{scale:.4g}"] for name, scale in fit.scales.items()]
    units = (
        f"Constant, fitted: pJ a cycle, {fit.constant_mw:.0f} mW. MAC, fitted: pJ a MAC that is "
        "not gated, with its spads. GLB, not fitted: times the price of timeloop_65nm_8bit. NoC, "
        "not fitted: pJ a word and receiver."
    )
    observed = (
        "The constant is divided among the parts so that the published shares are met; they take "
        "no part in the fit."
    )
    tables = [
        Table("Power of the chip without DRAM, by layer", heads, rows, (Note(errors),), left=2),
        Table(
            "Shares of AlexNet's power, %",
            ("part", "published", "fitted"),
            parts,
            (Note(observed),),
        ),
        Table("Scales", ("group", "scale"), scales, (Note(units),)),
    ]
    return sections_text([Section.of(shown).lines(width) for shown in tables], color)
