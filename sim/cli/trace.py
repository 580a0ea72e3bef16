"""`eyeriss-sim trace`: look at recorded runs, replay, compare, export and recover them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sim.cli.options import OneOf
from sim.cli.output import Target, keep_apart, write_stdout

if TYPE_CHECKING:
    from traces.columns import Query
    from traces.conditions import Condition
    from traces.diff import Side
    from traces.reader import LayerTrace, Trace
    from traces.replay import LayerReplay

Command = TypeVar("Command", bound=Callable[..., object])

DIFFERS = 1
SHOWN_EVENTS = 1000
SHOWN_DIFFERENCES = 20
MOST_CYCLE = 2**47
MOST_EVENTS = 5_000_000  # at once; two gigabytes of memory hold them


if TYPE_CHECKING:
    _PlaceType = click.ParamType[tuple[int, int]]
else:
    _PlaceType = click.ParamType  # generic from 8.4 on only


class Place(_PlaceType):
    """`R,C`: the row and column of a PE."""

    name = "R,C"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return row and column."""
        if isinstance(value, tuple):
            return value
        parts = re.fullmatch(r"\s*\(?(\d{1,5})\s*,\s*(\d{1,5})\)?\s*", value)
        if parts is None:
            from workloads.inputs.words import shown

            self.fail(f"{shown(value)} is no PE; one is ROW,COLUMN, as in 3,4", param, ctx)
        return int(parts[1]), int(parts[2])


class Until(click.Option):
    """`--until`; its other names still work, and the help does not show them."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Show the first name alone."""
        record = super().get_help_record(ctx)
        return record and (f"{self.opts[0]} {self.metavar}", record[1])


@click.group(invoke_without_command=True)
@click.pass_context
def trace(ctx: click.Context) -> None:
    """Inspect recorded runs: `run --trace FILE` records one.

    \b
    Examples:
      eyeriss-sim run lenet5 --trace lenet5.trace
      eyeriss-sim trace replay lenet5.trace
      eyeriss-sim trace replay lenet5.trace --layer C1 --pe 3,4 --until 500
      eyeriss-sim trace replay lenet5.trace --layer C1 --break 'glb.psum.read > 1000' --step
      eyeriss-sim trace export lenet5.trace --layer C1 --to perfetto
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _reported(command: Command) -> Command:
    """Report mistakes about a trace as the user's, with no word of a defect."""

    @wraps(command)
    def reporting(*args: object, **options: object) -> object:
        from traces.header import TraceError

        try:
            return command(*args, **options)
        except (TraceError, _MistakeError) as error:
            raise click.ClickException(str(error)) from None

    return reporting  # type: ignore[return-value]


class _MistakeError(Exception):
    """The user asked a trace for what it cannot have."""


def _asked(function: Callable[..., Any], *args: object, **options: object) -> Any:
    """Call what raises `ValueError` where the user asked for what cannot be."""
    try:
        return function(*args, **options)
    except ValueError as error:
        raise _MistakeError(str(error)) from None


def _open(name: str) -> Trace:
    import traces

    return traces.open(name)


file_argument = click.argument("file", metavar="FILE")


def _query_options(*until: str) -> Callable[[Command], Command]:
    """Add `--layer --from --until --block --pe --action --type`; `until` names `--until`."""
    cycle = click.IntRange(0, MOST_CYCLE)
    options: tuple[Callable[[Command], Command], ...] = (
        click.option("--type", "kind", metavar="TYPE", help="filter, ifmap, psum or none."),
        click.option("--action", metavar="NAME", help="read, write, send, mac, accumulate, .."),
        click.option("--pe", type=Place(), metavar="R,C", help="One PE."),
        click.option(
            "--block", metavar="NAME", help="dram, glb, gin_ifmap, noc, pe, pe(3,4), link(3,4), .."
        ),
        click.option(
            *until, "last", cls=Until, type=cycle, metavar="CYCLE", help="Before this cycle."
        ),
        click.option("--from", "first", type=cycle, metavar="CYCLE", help="From this cycle on."),
        click.option("--layer", metavar="NAME", help="One layer."),
    )

    def add(command: Command) -> Command:
        for option in options:
            command = option(command)
        return command

    return add


def _query(
    opened: Trace, layer: str | None, first: int | None, last: int | None, block: str | None,
    pe: tuple[int, int] | None, action: str | None, kind: str | None,
) -> Query:  # fmt: skip
    cycles = None
    if first is not None or last is not None:
        cycles = (first or 0, MOST_CYCLE if last is None else last)
    query: Query = _asked(
        opened.query, layer=layer, block=block, pe=pe, action=action, kind=kind, cycles=cycles
    )
    return query


# --- info -----------------------------------------------------------------------------------------


@trace.command(short_help="Say what is in a trace: run, layers, events.")
@file_argument
@_reported
def info(file: str) -> None:
    """Say what FILE is: the run, its layers, passes and events, and what was recorded."""
    with _open(file) as opened:
        write_stdout("".join(f"{line}\n" for line in _info(opened)))


def _info(opened: Trace) -> Iterator[str]:
    from workloads.inputs.words import printable

    about = opened.description
    size = opened.path.stat().st_size
    yield f"{printable(str(opened.path))}: {opened.state} trace, {size / 1e6:.2f} MB"
    yield f"written by {about['program']}"
    yield (
        f"network {about['network']}, batch {about.get('batch')}, array "
        f"{opened.layout.rows} x {opened.layout.columns}"
    )
    words = "no words, counts and times alone"
    if about.get("values"):
        seed = about.get("seed")
        words = "with words, " + ("from files" if seed is None else f"seed {seed}")
    yield words
    if opened.partial:
        yield f"partial: {opened.partial}"
    yield f"{'layer':<12}{'passes':>9}{'distinct':>10}{'cycles':>14}{'events':>16}  mapping"
    for layer in opened.layers:
        mapping = layer.description.get("mapping")
        factors = mapping if isinstance(mapping, dict) else {}
        cycles = int(layer.passes["cycles"].sum()) if len(layer.passes) else 0
        yield (
            f"{layer.name:<12.40}{len(layer.passes):>9}"
            f"{len(set(layer.passes['template'].tolist())):>10}{cycles:>14}"
            f"{opened.event_count(layer):>16}  {','.join(f'{k}={v}' for k, v in factors.items())}"
        )
    stored = opened.table_rows("steps")
    events = sum(opened.event_count(layer) for layer in opened.layers)
    yield f"{events} events, stored as {stored} rows of {opened.templates} distinct passes"


# --- replay ---------------------------------------------------------------------------------------


@trace.command(short_help="Rebuild a run's figures; print, step, stop.")
@file_argument
@_query_options("--until", "--to")  # it was --to once
@click.option("--limit", type=click.IntRange(1, MOST_EVENTS), default=SHOWN_EVENTS,
              show_default=True, metavar="N", help="Events to print at most.")  # fmt: skip
@click.option("--step", is_flag=True, help="Walk event by event: n, p, g CYCLE, b EXPR, s, f, q.")
@click.option(
    "--break", "expression", metavar="EXPR",
    help="Stop at the first event of a layer where this holds: a ledger entry, level, cycle or "
    "pass against a number, as in 'glb.psum.read > 1000' or 'fifo.psum_in(3,4) >= 8'; or what a PE "
    "does, and for how many cycles by now, as in 'waiting_psum_in(3,4) > 10'.",
)  # fmt: skip
@_reported
def replay(
    file: str, layer: str | None, first: int | None, last: int | None, block: str | None,
    pe: tuple[int, int] | None, action: str | None, kind: str | None, limit: int, step: bool,
    expression: str | None,
) -> None:  # fmt: skip
    """Rebuild ledger, stalls, cycles and energy of FILE from its events alone.

    Says whether they equal those of the run that wrote it; exit code 1 where they do not. With a
    filter the events are printed instead; --step and --break show the state of the machine, of the
    first layer unless --layer names one.
    """
    from traces.conditions import parse_condition

    if expression is not None and not step:
        filters = {"--from": first, "--until": last, "--block": block, "--pe": pe,
                   "--action": action, "--type": kind}  # fmt: skip
        for name, value in filters.items():
            if value is not None:
                raise click.UsageError(
                    f"{name} has no meaning with --break alone, which looks at every event; with "
                    "--step it says at which events n and p stop"
                )
    with _open(file) as opened:
        query = _query(opened, layer, first, last, block, pe, action, kind)
        condition = None if expression is None else _asked(parse_condition, expression)
        if step or condition is not None:
            _walk(opened, query, layer, condition, interactive=step)
        elif query != opened.query():
            _print_events(opened, query, limit)
        else:
            _rebuild(opened)


def _rebuild(opened: Trace) -> None:
    from traces.replay import replay as rebuild

    wrong = 0
    if opened.partial:
        raise _MistakeError(f"{opened.path}: the ledger cannot be rebuilt: {opened.partial}")
    for layer in rebuild(opened):
        layer.differences += _energy_differences(opened, layer)
        wrong += bool(layer.differences)
        verdict = "equal to the run" if not layer.differences else "NOT EQUAL to the run"
        click.echo(
            f"{layer.name}: {layer.events} events, {layer.processing_cycles} cycles processing, "
            f"{layer.total_cycles} in all, {layer.entries['mac.active']} active MACs: {verdict}"
        )
        for difference in layer.differences[:SHOWN_DIFFERENCES]:
            click.echo(f"  {difference}")
        if len(layer.differences) > SHOWN_DIFFERENCES:
            click.echo(f"  and {len(layer.differences) - SHOWN_DIFFERENCES} more")
    if wrong:
        raise click.exceptions.Exit(DIFFERS)
    what = "ledger, stalls, cycles and energy"
    if opened.description.get("values"):
        what = "ledger, stalls, cycles, energy and ofmaps"
    layers = len(opened.layers)
    click.echo(f"{what} of {layers} layer{'s' if layers != 1 else ''} are those of the run")


def _energy_differences(opened: Trace, layer: LayerReplay) -> list[str]:
    """Price the rebuilt ledger, and hold it against what the run result."""
    from pydantic import ValidationError

    from hw_models.energy import EnergyTable
    from hw_models.spec import Hardware
    from sim.account.energy import energy
    from sim.account.result import coded_bits

    result = opened.layer(layer.name).result or {}
    pricing = result.get("pricing")
    if not isinstance(pricing, dict):
        return []
    try:
        table = EnergyTable.model_validate(pricing["table"])
        hw = Hardware.model_validate(opened.description["hardware"])
        breakdown = energy(
            layer.entries,
            table,
            word_bits=hw.word_bits,
            bits=pricing["bits"],
            pruned=pricing["pruned"],
            cycles=layer.total_cycles,
            pes=hw.pes,
            core_mhz=hw.clock.core_mhz,
            hops=layer.hops if table.noc.hop != 0 else None,
            dram_bits=coded_bits(
                # Traces of 0.1.0 scale nothing on the link, whether it is coded or not.
                pricing.get("dram_coding", dict.fromkeys(("ifmap", "ofmap"), "expected")),
                {kind: layer.dram_bits[kind] for kind in ("ifmap", "ofmap")},
            ),
        )
    except (ValidationError, ValueError, TypeError, KeyError):
        return ["energy: the trace's energy table or hardware is none"]
    rebuilt = breakdown.to_dict()
    recorded = result.get("energy")
    of_the_run = recorded if isinstance(recorded, dict) else {}
    return [
        f"energy {name}: {rebuilt[name]} by the events, {of_the_run.get(name)} by the run"
        for name in sorted(rebuilt)
        if rebuilt[name] != of_the_run.get(name)
    ]


def _print_events(opened: Trace, query: Query, limit: int) -> None:
    from traces.export import select
    from traces.text import event_text

    chosen = select(opened, query, limit, stalls=False)
    for row in range(len(chosen.events)):
        layer = opened.layers[int(chosen.events.layer[row])].name
        place = f"{layer} pass {int(chosen.events.pass_[row])}"
        click.echo(f"{place}  {event_text(opened, chosen.events, row)}")
    if chosen.cut:
        click.echo(f"the first {limit} events; narrow the query, or ask for more by --limit")
    elif not len(chosen.events):
        click.echo("no events")


# --- step and break -------------------------------------------------------------------------------


def _walk(
    opened: Trace, query: Query, layer: str | None, condition: Condition | None, *,
    interactive: bool,
) -> None:  # fmt: skip
    from sim.cli.trace_step import StepPrompt
    from traces.conditions import longest
    from traces.step import Stepper

    walked: LayerTrace = opened.layers[0] if opened.layers else _nothing(opened)
    if layer is not None:
        walked = opened.layer(layer)
    if not len(walked.passes):
        _nothing(opened)
    stepper = Stepper(opened, walked, query)
    prompt = StepPrompt(stepper)
    there = stepper.move(1) if condition is None else _asked(stepper.find, condition)
    if there:
        prompt.show()
    elif condition is not None:
        most = longest(opened, walked, condition)
        note = "" if most is None else f"; the longest without a break is {most} cycles"
        click.echo(f"{condition} never holds in {walked.name}{note}")
        if not interactive:
            raise click.exceptions.Exit(DIFFERS)
        stepper.move(1)
    else:
        raise _MistakeError("no events match")
    if interactive:
        prompt.talk()


def _nothing(opened: Trace) -> LayerTrace:
    raise _MistakeError(f"{opened.path} has no passes")


# --- diff -----------------------------------------------------------------------------------------


@trace.command(short_help="Find the first event in which two runs part.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@_reported
def diff(a: str, b: str) -> None:
    """Find the first event in which two runs part, and what differs in the end.

    Exit code 0 where they are the same, 1 where they differ.
    """
    from traces.diff import diff as compare

    with _open(a) as left, _open(b) as right:
        difference = _asked(compare, left, right)
    for line in difference.inputs[:SHOWN_DIFFERENCES]:
        click.echo(f"A and B differ in {line}")
    if len(difference.inputs) > SHOWN_DIFFERENCES:
        click.echo(f"and {len(difference.inputs) - SHOWN_DIFFERENCES} more")
    if difference.same:
        click.echo("every event is the same")
        return
    if difference.first is None:
        click.echo("every event is the same; the runs' figures are not:")
    else:
        first = difference.first
        differs = f" ({', '.join(first.columns)})" if first.columns else ""
        click.echo(
            f"the runs part in layer {first.layer}, pass {first.pass_index}, cycle "
            f"{first.cycle}{differs}"
        )
        for name, side in (("A", first.a), ("B", first.b)):
            _show_side(name, side)
        passes = "pass differs" if difference.passes == 1 else "passes differ"
        click.echo(f"{difference.passes} {passes}")
    for line in difference.figures[:SHOWN_DIFFERENCES]:
        click.echo(f"  {line}")
    if len(difference.figures) > SHOWN_DIFFERENCES:
        click.echo(f"  and {len(difference.figures) - SHOWN_DIFFERENCES} more")
    raise click.exceptions.Exit(DIFFERS)


def _show_side(name: str, side: Side) -> None:
    click.echo(f"{name}: {side.event or 'the pass has no more events'}")
    for line in side.around:
        click.echo(f"   {'>' if line == side.event else ' '} {line}")
    for line in side.state:
        click.echo(f"   | {line}")


# --- export and recover ---------------------------------------------------------------------------


@trace.command(short_help="Write events for Perfetto, GTKWave, CSV or NumPy.")
@file_argument
@click.option(
    "--to", "form", required=True, type=OneOf(["perfetto", "vcd", "csv", "npz"]),
    help="The format: Chrome trace JSON for ui.perfetto.dev, a value change dump for GTKWave, "
    "comma-separated values, or NumPy arrays.",
)  # fmt: skip
@click.option(
    "-o", "--output", metavar="FILE",
    help="The file to write.  [default: here, with .perfetto.json, .vcd, .csv or .npz in place of "
    "the trace's own ending]",
)  # fmt: skip
@_query_options("--until")
@click.option("--limit", type=click.IntRange(1, MOST_EVENTS), metavar="N",
              help="Events at most.  [default: as many as viewers open well]")  # fmt: skip
@_reported
def export(
    file: str, form: str, output: str | None, layer: str | None, first: int | None,
    last: int | None, block: str | None, pe: tuple[int, int] | None, action: str | None,
    kind: str | None, limit: int | None,
) -> None:  # fmt: skip
    """Write events of one layer of FILE for a viewer or another program.

    A cycle stays a cycle: one unit of time of the written file is one core cycle. What PEs wait for
    in these cycles is written, too, unless --action or --type choose some events.
    """
    from traces.export import DEFAULT_EVENTS, WRITERS, one_layer, select
    from workloads.inputs.words import printable

    ending = {"perfetto": "perfetto.json"}.get(form, form)
    target = Target(output if output is not None else f"{Path(file).stem}.{ending}")
    if target.is_stdout:
        raise click.UsageError("-o -: an export is written to a file")
    keep_apart({"-o": target.name}, (file,))
    with _open(file) as opened:
        chosen_layer = _asked(one_layer, opened, layer)
        query = _query(opened, chosen_layer.name, first, last, block, pe, action, kind)
        target.check()
        chosen = select(opened, query, limit or DEFAULT_EVENTS[form])
        target.write_binary(lambda out: WRITERS[form](opened, chosen_layer, chosen, out))
        if not opened.causes_known:
            click.echo(
                "note: stalls are left out: they follow from events of the PEs and of the NoC, and "
                f"only blocks of {', '.join(opened.restricted['blocks'])} were recorded",
                err=True,
            )
        if chosen.cut:
            click.echo(
                f"note: the first {len(chosen.events)} events, to cycle "
                f"{int(chosen.events.start.max())}; choose others with --from, --until and "
                "--block, or more with --limit",
                err=True,
            )
    stalls = f", {len(chosen.stalls)} stalls of PEs" if len(chosen.stalls) else ""
    click.echo(f"{printable(target.name)}: {len(chosen.events)} events{stalls}")


@trace.command(short_help="Save what is whole of a killed run's trace.")
@file_argument
@click.option(
    "-o", "--output", metavar="FILE", help="The file to write.  [default: NAME.recovered]"
)
@_reported
def recover(file: str, output: str | None) -> None:
    """Save what is whole of FILE, the partial trace that a killed run left behind."""
    from traces.recover import recover as save
    from workloads.inputs.words import printable

    name = re.sub(r"\.partial-\d+-[0-9a-f]+$", "", file)
    saved = save(file, output if output is not None else f"{name}.recovered")
    click.echo(
        f"{printable(str(saved.path))}: {saved.passes} passes of {saved.layers} layers, "
        f"{saved.templates} distinct"
    )
    if saved.lost_rows:
        click.echo(f"{saved.lost_rows} rows that were not whole are left out")
