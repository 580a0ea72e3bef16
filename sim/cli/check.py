"""`eyeriss-sim check`: compare engine and closed form on networks and on random cases."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sim.cli.options import HelpWithoutArguments, Selection, selection_options
from sim.cli.output import Target, keep_apart, write_found
from sim.cli.plans import lay_out
from sim.cli.progress import duration, progress_wanted, seconds_left

if TYPE_CHECKING:
    from sim.check.cases import Case
    from sim.check.compare import Difference, LayerCheck
    from sim.plan.dram_traffic import DramStall
    from sim.run import NetworkPlan

    Step = Callable[[str], None]

SCHEMA, VERSION = "eyeriss-sim/check", 1
DIFFERS = 1
NETWORK_TOLERANCE, CASE_TOLERANCE = 1.0, 3.0  # percent of the cycles
MOST_DIFFERENCES = 12  # entries listed of one layer; a wrong rule makes hundreds differ
MOST_FAILING = 5  # cases listed in full
MOST_CASES = 10_000_000
SELECTION = {
    "network": "NETWORK",
    "layers": "--layer",
    "batch": "--batch",
    "hw": "--hw",
    "settings": "--set",
    "mapping": "--mapping",
}


@dataclass(frozen=True)
class CaseCheck:
    """A random case and its comparison; `error` if engine or closed form broke down."""

    number: int
    case: Case
    check: LayerCheck | None
    error: str = ""

    def holds(self, tolerance: float) -> bool:
        """Return whether counts are equal, and cycles within `tolerance` where they are claimed."""
        if self.check is None:
            return False
        return self.check.holds(tolerance if self.case.default_fifos else math.inf)


def _percent(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 <= value <= 100:
        raise click.BadParameter(f"{value:g} is not a percentage from 0 to 100", ctx, param)
    return value


@click.command(cls=HelpWithoutArguments)
@selection_options
@click.option(
    "--tolerance",
    type=float,
    callback=_percent,
    metavar="PERCENT",
    help=f"How far cycles may differ; counts must be equal.  [default: {NETWORK_TOLERANCE:g}, and "
    f"{CASE_TOLERANCE:g} with --random and --case]",
)
@click.option(
    "--random",
    "random_count",
    type=click.IntRange(1, MOST_CASES),
    metavar="N",
    help="Check N random layers, chips and mappings in place of a network.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    metavar="S",
    help="With --random: which ones.  [default: 0]",
)
@click.option(
    "--case", "case_file", metavar="FILE", help="Check the case that --random printed, saved."
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write the outcome as JSON; - is stdout, which then gets no table.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress and no table.")
@click.pass_context
def check(
    ctx: click.Context,
    selection: Selection,
    tolerance: float | None,
    random_count: int | None,
    seed: int | None,
    case_file: str | None,
    json_file: str | None,
    quiet: bool,
) -> None:
    """Compare the simulation of NETWORK with the analytical model: every count and the cycles.

    The exit code is 1 if a count differs, or cycles differ by more than the tolerance. In random
    cases the analytical model claims cycles only if FIFOs hold 16 ifmap words and 8 psums or more.

    \b
    Examples:
      eyeriss-sim check alexnet
      eyeriss-sim check vgg16 --layer CONV1-2 --tolerance 0.3
      eyeriss-sim check --random 300 --seed 7
      eyeriss-sim check --case failing.yaml
    """
    _check_usage(ctx, random_count, seed, case_file)
    keep_apart({"--json": json_file}, (*selection.files, case_file))
    target = None if json_file is None else Target(json_file)
    outcome: NetworkOutcome | RandomOutcome
    if random_count is not None:
        if target is not None:
            target.check()
        percent = CASE_TOLERANCE if tolerance is None else tolerance
        outcome = _check_random(random_count, seed or 0, percent, quiet=quiet)
    elif case_file is not None:
        outcome = _check_case(case_file, tolerance, target)
    else:
        prepared = lay_out(selection, "checked")
        if target is not None:
            target.check()
        percent = NETWORK_TOLERANCE if tolerance is None else tolerance
        outcome = _check_network(prepared, percent, quiet=quiet)
    write_found(outcome.to_dict, outcome.render, target, quiet=quiet)
    if not outcome.holds:
        raise click.exceptions.Exit(DIFFERS)


def _check_usage(
    ctx: click.Context, random_count: int | None, seed: int | None, case_file: str | None
) -> None:
    if random_count is not None and case_file is not None:
        raise click.UsageError("--random draws cases and --case reads one: give one of them")
    if seed is not None and random_count is None:
        raise click.UsageError("--seed needs --random: nothing else is drawn")
    if random_count is None and case_file is None:
        return
    mode = "--random" if random_count is not None else "--case"
    for parameter, name in SELECTION.items():
        if ctx.get_parameter_source(parameter) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{name} has no meaning with {mode}: a case has its own layer, chip and mapping"
            )


# --- doing it -------------------------------------------------------------------------------------


def _check_network(prepared: NetworkPlan, tolerance: float, *, quiet: bool) -> NetworkOutcome:
    from sim.check.compare import check_layer
    from sim.engine.layer_run import PassMemory

    memory = PassMemory(prepared.hw)
    checks = []
    with _steps(len(prepared.plans), quiet=quiet) as step:
        for plan in prepared.plans:
            step(plan.layer.name)
            checks.append(check_layer(plan, memory))
    title = f"{prepared.network} on {prepared.hw.name}, batch {prepared.batch}"
    return NetworkOutcome(title, tolerance, tuple(checks), prepared.notes)


def _check_case(case_file: str, tolerance: float | None, target: Target | None) -> NetworkOutcome:
    from sim.check.cases import read_case
    from sim.check.compare import check_layer

    case = read_case(case_file)
    plan = case.plan
    if target is not None:
        target.check()
    notes: tuple[str, ...] = ()
    if tolerance is None and not case.default_fifos:
        notes = ("the FIFOs of this case are not the chip's, so its cycles may differ",)
        tolerance = math.inf
    tolerance = CASE_TOLERANCE if tolerance is None else tolerance
    title = f"{case_file}: {_described(case)}"
    return NetworkOutcome(title, tolerance, (check_layer(plan),), notes)


def _check_random(count: int, seed: int, tolerance: float, *, quiet: bool) -> RandomOutcome:
    from sim.check.cases import random_cases
    from sim.check.compare import check_layer

    checks: list[CaseCheck] = []
    failing = 0
    worst = 0.0
    with _steps(count, quiet=quiet) as step:
        for number, case in enumerate(islice(random_cases(seed), count)):
            step(f"{number:,} of {count:,} cases, {failing} failing, worst {100 * worst:.2f} %")
            try:
                done = CaseCheck(number, case, check_layer(case.plan))
            except MemoryError:
                raise
            except Exception as error:  # whatever breaks is a case to print
                done = CaseCheck(number, case, None, f"{type(error).__name__}: {error}")
            checks.append(done)
            failing += not done.holds(tolerance / 100)
            if done.check is not None and case.default_fifos:
                worst = max(worst, abs(done.check.worst_error))
    return RandomOutcome(seed, tolerance, tuple(checks))


@contextmanager
def _steps(count: int, *, quiet: bool) -> Iterator[Step]:
    """Draw a bar on stderr while the block runs, if somebody looks.

    Yields a function that is called with a description before each of `count` steps.
    """
    if not progress_wanted(quiet):
        yield lambda _: None
        return
    import time

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    started = time.monotonic()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=count, left="")
        done = 0

        def step(text: str) -> None:
            nonlocal done
            left = seconds_left(time.monotonic() - started, done / count)
            shown = "" if left is None else f"{duration(left)} left"
            progress.update(task, description=text, completed=done, left=shown)
            done += 1

        yield step


# --- telling it -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetworkOutcome:
    """The layers of a network, or the layer of a case, compared with their closed form.

    `tolerance` is in percent.
    """

    title: str
    tolerance: float
    checks: tuple[LayerCheck, ...]
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Every layer holds."""
        return all(check.holds(self.tolerance / 100) for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        from sim.check.compare import summary

        mean, worst = summary(list(self.checks))
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "checked": self.title,
            "holds": self.holds,
            "tolerance_percent": self.tolerance if math.isfinite(self.tolerance) else None,
            "mean_difference": mean,
            "worst_difference": worst,
            "layers": [_check_dict(checked, self.tolerance) for checked in self.checks],
            "notes": list(self.notes),
        }

    def render(self, width: int, *, color: bool) -> str:
        """Return the outcome as text for the terminal."""
        from sim.check.compare import summary
        from sim.report.tables import notes_lines, sections_text, wrap

        tolerance = self.tolerance / 100
        known = {checked.layer for checked in self.checks}
        failed = [checked for checked in self.checks if not checked.holds(tolerance)]
        mean, worst = summary(list(self.checks))
        lines = [
            *wrap(self.title, width),
            "",
            *_table(self.checks, width),
            "",
            *_latencies(self.checks, width),
            "",
            *wrap(_verdict(len(self.checks), len(failed), mean, worst, self.tolerance), width),
        ]
        for checked in failed:
            lines += ["", *_failure(checked, tolerance, width)]
        if self.notes:
            lines += ["", "Notes", *notes_lines(self.notes, known, width)]
        return sections_text([lines], color)


@dataclass(frozen=True)
class RandomOutcome:
    """Random cases compared with their closed form; `tolerance` is in percent."""

    seed: int
    tolerance: float
    cases: tuple[CaseCheck, ...]

    @property
    def failing(self) -> list[CaseCheck]:
        """The cases that do not hold."""
        return [checked for checked in self.cases if not checked.holds(self.tolerance / 100)]

    @property
    def holds(self) -> bool:
        """Every case holds."""
        return not self.failing

    def _errors(self, *, default_fifos: bool) -> list[tuple[float, CaseCheck]]:
        """Return (absolute difference in cycles as a fraction, case), largest first."""
        pairs = [
            (abs(checked.check.worst_error), checked)
            for checked in self.cases
            if checked.check is not None and checked.case.default_fifos == default_fifos
        ]
        return sorted(pairs, key=lambda pair: -pair[0])

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data; failing and worst cases with a file to repeat them."""
        ranked = self._errors(default_fifos=True)
        shown = {checked.number for checked in self.failing}
        shown |= {checked.number for _, checked in ranked[:1]}
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "checked": f"{len(self.cases)} random cases of seed {self.seed}",
            "holds": self.holds,
            "tolerance_percent": self.tolerance,
            "seed": self.seed,
            "mean_difference": _mean(ranked),
            "worst_difference": ranked[0][0] if ranked else None,
            "cases": [
                {
                    "case": checked.number,
                    "default_fifos": checked.case.default_fifos,
                    **(
                        _check_dict(checked.check, self.tolerance)
                        if checked.check is not None
                        else {"error": checked.error}
                    ),
                    "holds": checked.holds(self.tolerance / 100),
                    **({"yaml": checked.case.to_yaml()} if checked.number in shown else {}),
                }
                for checked in self.cases
            ],
        }

    def render(self, width: int, *, color: bool) -> str:
        """Return the outcome as text for the terminal."""
        from sim.report.tables import count, sections_text, wrap

        failing = self.failing
        equal = sum(f.check is not None and not f.check.differences for f in self.cases)
        lines = [f"{count(len(self.cases))} random cases of seed {self.seed}", ""]
        lines.append(f"  every count equal in {count(equal)} of {count(len(self.cases))} cases")
        for default_fifos, which in (
            (True, "FIFOs of a claimed depth"),
            (False, "shallower FIFOs"),
        ):
            ranked = self._errors(default_fifos=default_fifos)
            if ranked:
                close = ", ".join(
                    f"{count(sum(error <= part / 100 for error, _ in ranked))} "
                    f"{f'within {part:g} %' if part else 'exact'}"
                    for part in (0, 0.1, 1, CASE_TOLERANCE)
                )
                text = (
                    f"cycles in {count(len(ranked))} cases with {which}: mean "
                    f"{100 * _mean(ranked):.3f} %, worst {100 * ranked[0][0]:.2f} % (case "
                    f"{ranked[0][1].number}); {close}"
                )
                lines += wrap(text, width, "  ")
        ranked = self._errors(default_fifos=True)
        if ranked:
            lines += wrap(f"worst: {_described(ranked[0][1].case)}", width, "  ")
        if failing:
            lines += [
                "",
                f"{count(len(failing))} fail: a count differs, cycles by more than "
                f"{self.tolerance:g} %, or one of the two broke down",
            ]
        else:
            lines += ["", f"All hold; cycles within {self.tolerance:g} % where they are claimed."]
        for checked in failing[:MOST_FAILING]:
            lines += ["", *self._failing_case(checked, width)]
        if len(failing) > MOST_FAILING:
            lines += ["", f"{count(len(failing) - MOST_FAILING)} more are in the file of --json."]
        return sections_text([lines], color)

    def _failing_case(self, checked: CaseCheck, width: int) -> list[str]:
        from sim.report.tables import wrap

        file = f"case-{self.seed}-{checked.number}.yaml"
        lines = [f"Case {checked.number}:"]
        if checked.check is None:
            lines += wrap(checked.error, width, "  ")
        else:
            lines += _failure(checked.check, self.tolerance / 100, width)
        lines.append(f"Save as {file} and run: eyeriss-sim check --case {shlex.quote(file)}")
        return [*lines, f"# {file}", *checked.case.to_yaml().splitlines()]


def _table(checks: Sequence[LayerCheck], width: int) -> list[str]:
    from sim.report.tables import count, table

    heads = [
        "\nlayer", "\npasses", "figures\ncompared", "engine\ncycles", "closed form\ncycles",
        "difference\n%", "counts\nequal",
    ]  # fmt: skip
    rows = [
        [
            checked.layer,
            count(checked.passes),
            count(checked.entries),
            count(checked.engine_cycles),
            count(checked.closed_form_cycles),
            _signed(checked.errors["cycles"]),
            "yes" if not checked.differences else f"{len(checked.differences)} not",
        ]
        for checked in checks
    ]
    return table(heads, rows, width)


def _latencies(checks: Sequence[LayerCheck], width: int) -> list[str]:
    """Return the total latency, and its two parts in which the array waits for DRAM."""
    from sim.report.tables import count, table

    heads = [
        "\nlayer", "total\nengine", "total\nclosed form", "difference\n%",
        "ifmap wait\nengine", "closed\nform", "ofmap wait\nengine", "closed\nform",
    ]  # fmt: skip
    rows = [
        [
            checked.layer,
            count(checked.engine_total),
            count(checked.closed_form_total),
            _signed(checked.errors["total latency"]),
            count(checked.engine_waits.ifmap_cycles),
            count(checked.closed_form_waits.ifmap_cycles),
            count(checked.engine_waits.ofmap_cycles),
            count(checked.closed_form_waits.ofmap_cycles),
        ]
        for checked in checks
    ]
    return table(heads, rows, width)


def _signed(error: float) -> str:
    """Return a fraction as percent with its sign; only an exact hit is 0."""
    if error == 0:
        return "0"
    text = f"{100 * error:+.3f}"
    return text if float(text) else f"{'+' if error > 0 else '-'}<0.001"


def _verdict(layers: int, failed: int, mean: float, worst: float, tolerance: float) -> str:
    cycles = (
        f"cycles differ by {100 * mean:.3f} % on average (mean of the layers) and by "
        f"{100 * worst:.3f} % at worst"
    )
    if math.isfinite(tolerance):
        cycles += f", tolerance {tolerance:g} %"
    if failed:
        return f"{failed} of {layers} layer{'s' if layers != 1 else ''} do not hold; {cycles}."
    return f"Every count is equal; {cycles}."


def _failure(checked: LayerCheck, tolerance: float, width: int) -> list[str]:
    """Return what is wrong with a layer, and where it first shows."""
    from sim.report.tables import wrap

    lines = []
    if checked.differences:
        lines += wrap(f"First difference: {checked.first}", width)
        lines.append(
            f"{checked.layer}: {len(checked.differences)} of {checked.entries} figures differ:"
        )
        for difference in checked.differences[:MOST_DIFFERENCES]:
            lines += wrap(_line(difference), width, "  ")
        if len(checked.differences) > MOST_DIFFERENCES:
            lines.append(f"  and {len(checked.differences) - MOST_DIFFERENCES} more")
    told = {
        "cycles": (checked.engine_cycles, checked.closed_form_cycles),
        "total latency": (checked.engine_total, checked.closed_form_total),
        "waiting for ifmaps": (
            checked.engine_waits.ifmap_cycles,
            checked.closed_form_waits.ifmap_cycles,
        ),
        "waiting for ofmaps": (
            checked.engine_waits.ofmap_cycles,
            checked.closed_form_waits.ofmap_cycles,
        ),
    }
    for what, error in checked.errors.items():
        if abs(error) > tolerance:
            engine, form = told[what]
            share = " of the total latency" if what.startswith("waiting") else ""
            text = f"engine {engine:,}, closed form {form:,}, {_signed(error)} %{share}"
            lines += wrap(f"{checked.layer}: {what}: {text}", width)
    return lines


def _line(difference: Difference) -> str:
    off = difference.engine - difference.closed_form
    return (
        f"{difference.entry}: engine {difference.engine:,}, closed form "
        f"{difference.closed_form:,} ({off:+,})"
    )


def _described(case: Case) -> str:
    layer = case.layer
    parts = [
        f"{layer.G * layer.C} channels of {layer.H} x {layer.W}, {layer.M} filters of "
        f"{layer.R} x {layer.S}, stride {layer.U} x {layer.V}",
        f"batch {case.batch}",
        f"{layer.G} groups" if layer.G > 1 else "",
        case.hw,
        *case.overrides,
        f"mapping {case.mapping}",
    ]
    return ", ".join(part for part in parts if part)


def _latency_dict(total: int, waits: DramStall) -> dict[str, int]:
    from hw_models.vocabulary import Wait

    return {
        "cycles": total,
        Wait.IFMAP_LOAD: waits.ifmap_cycles,
        Wait.OFMAP_DUMP: waits.ofmap_cycles,
        "ifmap_bits": waits.ifmap_bits,
        "ofmap_bits": waits.ofmap_bits,
    }


def _check_dict(checked: LayerCheck, tolerance: float) -> dict[str, Any]:
    return {
        "name": checked.layer,
        "passes": checked.passes,
        "figures_compared": checked.entries,
        "engine_cycles": checked.engine_cycles,
        "closed_form_cycles": checked.closed_form_cycles,
        "difference": checked.errors["cycles"],
        "total_latency": {
            "engine": _latency_dict(checked.engine_total, checked.engine_waits),
            "closed_form": _latency_dict(checked.closed_form_total, checked.closed_form_waits),
            "difference": checked.errors["total latency"],
        },
        "holds": checked.holds(tolerance / 100),
        "first_difference": checked.first,
        "differences": [
            {
                "entry": difference.entry,
                "engine": difference.engine,
                "closed_form": difference.closed_form,
            }
            for difference in checked.differences
        ],
    }


def _mean(ranked: Sequence[tuple[float, CaseCheck]]) -> float:
    return math.fsum(error for error, _ in ranked) / len(ranked) if ranked else 0.0
