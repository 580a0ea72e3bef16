"""`--report`, `--plots`, `--verbose`: what `run` and `estimate` write beyond summary and file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sim.cli.output import STDOUT, Target, stdout_width, write_stdout

if TYPE_CHECKING:
    from sim.account.result import Result
    from sim.report.load import ResultFile
    from sim.run import Prepared

Command = TypeVar("Command", bound=Callable[..., object])

report_option = click.option(
    "--report",
    "report_file",
    metavar="FILE.html",
    help="Write a page to look at: where time and energy go, layer by layer.",
)
plots_option = click.option(
    "--plots",
    metavar="DIR",
    help="Write the page's figures as SVG and PDF there. Needs Matplotlib.",
)
verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Say more: what columns mean, the passes of each layer, and Eyexam's steps.",
)
brief_option = click.option(
    "--brief", is_flag=True, help="One line a layer and the totals, in place of the summary."
)


@dataclass(frozen=True)
class Pages:
    """What is to be written of a result, checked before anything runs."""

    report: Target | None
    plots: Path | None
    verbose: bool

    @classmethod
    def of(cls, report_file: str | None, plots: str | None, verbose: bool, brief: bool) -> Pages:
        """The pages that the options ask for; nothing is written yet."""
        if brief and verbose:
            raise click.UsageError("--brief and --verbose ask for less and for more; take one")
        if report_file == STDOUT:
            raise click.UsageError("--report - : name a file; `report -o -` writes to stdout")
        return cls(
            None if report_file is None else Target(report_file),
            None if plots is None else Path(plots),
            verbose,
        )

    def check(self, prepared: Prepared, result: Target | None) -> None:
        """Find out now what would only fail after the work; `result` is the result file.

        Raises:
            OSError: a file or folder cannot be written.
            InputError: plots are asked for and Matplotlib is missing, or what is written would be
                too large to be read again.

        """
        if result is not None:
            result.check()
        if result is not None or self.report is not None or self.plots is not None:
            from sim.run import check_file

            check_file(prepared)
        if self.report is not None:
            self.report.check()
        if self.plots is not None:
            from sim.report.plots import require_matplotlib

            require_matplotlib()
            check_folder(self.plots)

    def write(self, result: Result, *, summary: bool) -> None:
        """Write all that was asked for; `summary` says that stdout takes text."""
        if summary and self.verbose:
            from sim.report.passes import render_passes

            write_stdout("\n" + render_passes(result, width=stdout_width()))
        if self.report is None and self.plots is None:
            return
        from sim.report.load import of_result

        found = of_result(result)
        try:
            if self.report is not None:
                from sim.report.html import render_page

                self.report.write(render_page([(found.network, found)]))
        finally:
            if self.plots is not None:
                write_plots(found, self.plots)


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


def write_plots(result: ResultFile, folder: Path) -> None:
    """Write every plot of a result into a folder, which is made where it is not there."""
    from sim.report.plots import plot_files

    for name, picture in plot_files(result):
        file = folder / name
        with suppress(FileExistsError):
            file.parent.mkdir(parents=True)
        Target(str(file)).write_bytes(picture)


def page_options(command: Command) -> Callable[..., Any]:
    """Add `--report`, `--plots`, `--verbose` and `--brief`, handed over by these names."""
    return report_option(plots_option(verbose_option(brief_option(command))))
