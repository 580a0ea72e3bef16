"""`eyeriss-sim report`: result files and traces as one page to look at."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from sim.cli.options import HelpWithoutArguments
from sim.cli.output import Target, keep_apart
from sim.cli.pages import Plots, plots_options

MOST_RUNS = 16


@click.command(cls=HelpWithoutArguments)
@click.argument("files", nargs=-1, required=True, metavar="RESULT...")
@click.option(
    "-o",
    "--output",
    metavar="FILE.html",
    help="The page; - is stdout.  [default: beside the result, with .html in place of .json; "
    "comparison.html here for several]",
)
@plots_options
def report(files: tuple[str, ...], output: str | None, plots: Plots | None) -> None:
    """Write results as a page: one HTML file that opens anywhere.

    A RESULT is what `run --json` or `estimate --json` wrote, or a trace of `run --trace`.

    The page shows where time and energy go and what to change, and for every layer the map of PEs,
    buses, stalls, passes, energy and the steps from peak to reached throughput. Several results are
    compared side by side with the first.

    \b
    Examples:
      eyeriss-sim report result.json
      eyeriss-sim report published.json auto.json -o mappings.html
      eyeriss-sim report result.json --plots figures
    """
    from sim.report.load import read_results
    from sim.report.page.html import render_page
    from workloads.inputs.words import printable

    if len(files) > MOST_RUNS:
        raise click.UsageError(f"{len(files)} results are too many for a page; {MOST_RUNS} fit")
    if plots is not None and len(files) > 1:
        raise click.UsageError("--plots draws one result; name one file")
    target = Target(output if output is not None else _default(files))
    keep_apart({"-o": target.name}, files)
    results = list(zip(labels(files), read_results(files), strict=True))
    if plots is not None:
        plots.check([layer.name for layer in results[0][1].layers])
    target.write(render_page(results))
    if plots is not None:
        plots.write(results[0][1])
    if not target.is_stdout:
        click.echo(f"wrote {printable(target.name)}")


def _default(files: tuple[str, ...]) -> str:
    if len(files) > 1:
        return "comparison.html"
    file = Path(files[0])
    return str(file.with_name(f"{file.stem}.html")) if file.name else "report.html"


def labels(files: tuple[str, ...]) -> list[str]:
    """Return a short name for each file: its own, with folder or number where two are the same."""
    names = [Path(name).stem or name for name in files]
    if len(set(names)) < len(names):
        names = [name.removesuffix(Path(name).suffix) for name in files]
    times: Counter[str] = Counter()
    for place, name in enumerate(names):
        times[name] += 1
        if times[name] > 1:
            names[place] = f"{name} ({times[name]})"
    return names
