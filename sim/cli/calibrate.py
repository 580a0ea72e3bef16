"""`eyeriss-sim calibrate`: fit an energy table to the powers measured on the chip."""

from __future__ import annotations

import click

from sim.cli.output import (
    Target,
    color_on_stdout,
    json_text,
    keep_apart,
    stdout_width,
    write_stdout,
)


@click.command
@click.option(
    "-o",
    "--output",
    "table_file",
    metavar="FILE",
    help="Write the table, a YAML file for --energy; - is stdout, which then gets no text.",
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write the fit and its errors; - is stdout, which then gets no text.",
)
@click.option("-q", "--quiet", is_flag=True, help="No text.")
def calibrate(table_file: str | None, json_file: str | None, quiet: bool) -> None:
    """Fit prices in pJ to the measured power of the chip's 18 convolutional layers.

    The shipped table eyeriss_65nm_calibrated is what this writes.

    \b
    Examples:
      eyeriss-sim calibrate
      eyeriss-sim calibrate -o my_table.yaml
    """
    from sim.reference.calibration import calibrate as fit
    from sim.reference.calibration import table_text

    keep_apart({"--output": table_file, "--json": json_file})
    targets = {
        name: Target(file)
        for name, file in (("--output", table_file), ("--json", json_file))
        if file is not None
    }
    if sum(target.is_stdout for target in targets.values()) > 1:
        raise click.UsageError("--output and --json cannot both be stdout")
    for target in targets.values():
        target.check()
    calibration = fit()
    if "--output" in targets:
        targets["--output"].write(table_text(calibration))
    if "--json" in targets:
        targets["--json"].write(json_text(calibration.to_dict()))
    if not quiet and not any(target.is_stdout for target in targets.values()):
        from sim.report.text.calibration import render_calibration

        write_stdout(render_calibration(calibration, width=stdout_width(), color=color_on_stdout()))
