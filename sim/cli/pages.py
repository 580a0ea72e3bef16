"""`--report`, `--plots`, `--verbose`: what `run` and `estimate` write beyond summary and file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sim.cli.output import STDOUT, Target, stdout_width, write_stdout

if TYPE_CHECKING:
    from sim.account.result import Result
    from sim.result.model import ResultFile
    from sim.run import NetworkPlan

Command = TypeVar("Command", bound=Callable[..., object])

report_option = click.option(
    "--report",
    "report_file",
    metavar="FILE.html",
    help="Write a page to look at: where time and energy go, layer by layer.",
)
verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Say more: what columns mean, the passes of each layer, and Eyexam's steps.",
)
csv_option = click.option(
    "--csv",
    "csv_folder",
    metavar="DIR",
    help="Write the tables of the summary there as CSV files, in full numbers.",
)
brief_option = click.option(
    "--brief", is_flag=True, help="One line a layer and the totals, in place of the summary."
)


@dataclass(frozen=True)
class Plots:
    """Which figures are drawn, and where; no names and no layers are the default ones."""

    folder: Path
    names: tuple[str, ...]
    layers: tuple[str, ...]

    @classmethod
    def of(
        cls, folder: str | None, names: tuple[str, ...], layers: tuple[str, ...]
    ) -> Plots | None:
        """Make it from the options as they were given.

        Raises:
            click.UsageError: there is no such figure, or nothing to write it to.

        """
        if folder is None:
            for option, given in (("--plot", names), ("--plot-layer", layers)):
                if given:
                    raise click.UsageError(f"{option} needs --plots: without it nothing is drawn")
            return None
        if not folder:
            raise click.UsageError("--plots '': is no folder; leave the option out, or name one")
        wanted = [part.strip() for name in names for part in name.split(",")]
        if not wanted:
            return cls(Path(folder), (), layers)
        from sim.report.plots.figures import PLOTS
        from workloads.inputs.words import unknown_name

        for name in wanted:
            if name not in (*PLOTS, "all"):
                raise click.UsageError(f"--plot: {unknown_name('figure', name, (*PLOTS, 'all'))}")
        chosen = tuple(PLOTS) if "all" in wanted else tuple(dict.fromkeys(wanted))
        return cls(Path(folder), chosen, layers)

    def check(self, layers: Sequence[str]) -> None:
        """Find out whether they can be drawn of these layers; see `Pages.check`."""
        from sim.report.plots.figures import require_matplotlib

        require_matplotlib()
        self._chosen(layers)
        check_folder(self.folder)

    def _chosen(self, layers: Sequence[str]) -> list[str]:
        from workloads.network import choose_names

        chosen, faults = choose_names(self.layers, layers)
        if faults:
            raise click.UsageError(f"--plot-layer: {faults[0]}")
        return [name for name in layers if name in chosen]

    def write(self, result: ResultFile) -> None:
        """Write the figures of a result into the folder, which is made where it is not there."""
        from sim.report.plots.figures import plot_files

        names = [layer.name for layer in result.layers]
        written = 0
        for name, picture in plot_files(result, self.names, self._chosen(names)):
            file = self.folder / name
            with suppress(FileExistsError):
                file.parent.mkdir(parents=True)
            Target(str(file)).write_bytes(picture)
            written += 1
        if not written:
            click.echo(
                f"note: {self.folder}: nothing to draw; {', '.join(self.names)} is no figure of "
                "what was chosen",
                err=True,
            )


def plots_options(command: Command) -> Callable[..., Any]:
    """Add `--plots`, `--plot` and `--plot-layer`, handed over as one `Plots` or None, `plots`."""

    @wraps(command)
    def collect(
        *before: object,
        plots: str | None,
        plot_names: tuple[str, ...],
        plot_layers: tuple[str, ...],
        **others: object,
    ) -> object:
        return command(*before, plots=Plots.of(plots, plot_names, plot_layers), **others)

    decorated: Callable[..., Any] = collect
    for option in (
        click.option(
            "--plot-layer",
            "plot_layers",
            metavar="NAME",
            multiple=True,
            help="With --plots: layers to draw in place of the whole network, as in 'CONV*'.",
        ),
        click.option(
            "--plot",
            "plot_names",
            metavar="NAME,..",
            multiple=True,
            help="With --plots: these figures, of latency, eyexam, pes, stalls, buses, multicast, "
            "pass and energy, or all.  [default: latency,eyexam,stalls,energy]",
        ),
        click.option(
            "--plots",
            metavar="DIR",
            help="Write figures of the page as SVG and PDF there, of the whole network. Needs "
            "Matplotlib.",
        ),
    ):
        decorated = option(decorated)
    return decorated


@dataclass(frozen=True)
class Pages:
    """What is to be written of a result, checked before anything runs."""

    report: Target | None
    plots: Plots | None
    verbose: bool
    csv: Path | None = None

    @classmethod
    def of(
        cls,
        report_file: str | None,
        plots: Plots | None,
        verbose: bool,
        brief: bool,
        csv_folder: str | None = None,
    ) -> Pages:
        """Return the pages that the options ask for; nothing is written yet."""
        if brief and verbose:
            raise click.UsageError("--brief and --verbose ask for less and for more; take one")
        if report_file == STDOUT:
            raise click.UsageError("--report - : name a file; `report -o -` writes to stdout")
        if csv_folder == "":
            raise click.UsageError("--csv '': is no folder; leave the option out, or name one")
        return cls(
            None if report_file is None else Target(report_file),
            plots,
            verbose,
            None if csv_folder is None else Path(csv_folder),
        )

    def check(self, prepared: NetworkPlan, result: Target | None) -> None:
        """Find out now what would only fail after the work; `result` is the result file.

        Raises:
            OSError: a file or folder cannot be written.
            InputError: plots are asked for and Matplotlib is missing, or what is written would be
                too large to be read again.
            click.UsageError: a plot is asked for of a layer that is not there.

        """
        if result is not None:
            result.check()
        if result is not None or self.report is not None or self.plots is not None:
            from sim.run import check_file

            check_file(prepared)
        if self.report is not None:
            self.report.check()
        if self.plots is not None:
            self.plots.check([plan.layer.name for plan in prepared.plans])
        if self.csv is not None:
            check_folder(self.csv)

    def write(self, result: Result, *, summary: bool) -> None:
        """Write all that was asked for; `summary` says that stdout takes text."""
        if summary and self.verbose:
            from sim.report.text.passes import render_passes

            write_stdout("\n" + render_passes(result, width=stdout_width()))
        if self.csv is not None:
            self._write_tables(result, self.csv)
        if self.report is None and self.plots is None:
            return
        from sim.report.load import of_result

        result_file = of_result(result)
        try:
            if self.report is not None:
                from sim.report.page.html import render_page

                self.report.write(render_page([(result_file.network, result_file)]))
        finally:
            if self.plots is not None:
                self.plots.write(result_file)

    @staticmethod
    def _write_tables(result: Result, folder: Path) -> None:
        from sim.report.text.summary import result_tables

        with suppress(FileExistsError):
            folder.mkdir(parents=True)
        for name, table in result_tables(result).items():
            Target(str(folder / f"{name}.csv")).write(table.csv())


def check_folder(folder: Path) -> None:
    """Find out whether files can be written into a folder that may not be there yet.

    Raises:
        OSError: they cannot; with the folder's name.

    """
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(there))
    Target(str(there / "plot.svg")).check()


def page_options(command: Command) -> Callable[..., Any]:
    """Add `--report`, `--csv`, `--verbose`, `--brief`, by these names, and `plots_options`."""
    return report_option(csv_option(plots_options(verbose_option(brief_option(command)))))
