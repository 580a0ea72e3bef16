"""The prompt of `trace replay --step`."""

from __future__ import annotations

import cmd
import re
import sys
from typing import TYPE_CHECKING

import click

from hw_models.vocabulary import CAUSES
from traces.conditions import countable, parse_condition
from traces.state import LINE_LEVELS, PE_LEVELS
from workloads.inputs.words import shown

if TYPE_CHECKING:
    from traces.step import Stepper

HELP = """n [COUNT]   the next event
p [COUNT]   the event before
g CYCLE     the first event of the layer at or after this cycle
b EXPR      go on to where EXPR holds next, such as waiting_psum_in(3,4) > 10
s           the state once more
f ROW,COL   what a PE does and holds, with its words where the trace has them
q           the end"""
NAMES = sorted((*countable(), *LINE_LEVELS, *PE_LEVELS, *CAUSES, "cycle", "pass"))


class StepPrompt(cmd.Cmd):
    """Reads commands, one a line, until q or the end of the input.

    At a terminal lines can be edited and called back, and Tab completes the names of `b`.
    """

    def __init__(self, stepper: Stepper) -> None:
        super().__init__()
        self.stepper = stepper
        self.use_rawinput = sys.stdin is not None and sys.stdin.isatty()
        self.prompt = "(trace) " if self.use_rawinput else ""

    def talk(self) -> None:
        """Obey commands until the end."""
        if sys.stdin is not None:
            self.cmdloop()

    def show(self, *, moved: bool = True) -> None:
        """Print the event, and the state of the machine in its cycle."""
        if not moved:
            click.echo("there is none")
        for line in self.stepper.here():
            click.echo(line)

    # ---------------------------------------------------------------- commands

    def emptyline(self) -> bool:
        """Go on: an empty line is `n`."""
        self.do_n("")
        return False

    def default(self, line: str) -> None:
        """Help with what is no command."""
        del line
        click.echo(HELP)

    def do_EOF(self, arg: str) -> bool:  # noqa: N802  its name in `cmd`
        """End with the input."""
        del arg
        return True

    def do_help(self, arg: str) -> None:
        """Print all commands, or one of them."""
        lines = [line for line in HELP.splitlines() if line.split()[0] == arg]
        click.echo("\n".join(lines) or HELP)

    def do_n(self, arg: str) -> None:
        """Go to the next event."""
        self._move("n", arg, 1)

    def do_p(self, arg: str) -> None:
        """Go to the event before."""
        self._move("p", arg, -1)

    def _move(self, name: str, count: str, step: int) -> None:
        if count and not re.fullmatch(r"[1-9]\d{0,6}", count):
            click.echo(f"{name} [COUNT]: {shown(count)} is no count")
        else:
            self.show(moved=self.stepper.move(int(count or 1) * step))

    def do_g(self, arg: str) -> None:
        """Go to a cycle."""
        if re.fullmatch(r"\d{1,14}", arg):
            self.show(moved=self.stepper.go(int(arg)))
        else:
            click.echo(f"g CYCLE: {shown(arg)} is no cycle")

    def do_b(self, arg: str) -> None:
        """Go on to where a condition holds."""
        try:
            moved = self.stepper.find(parse_condition(arg))
        except ValueError as error:
            click.echo(str(error))
        else:
            self.show(moved=moved)

    def complete_b(self, text: str, line: str, begin: int, end: int) -> list[str]:
        """Return the names that a condition may have."""
        del line, begin, end
        return [name for name in NAMES if name.startswith(text)]

    def do_s(self, arg: str) -> None:
        """Print the state once more."""
        del arg
        self.show()

    def do_f(self, arg: str) -> None:
        """Print what a PE does and holds."""
        place = re.fullmatch(r"\(?(\d{1,5})\s*,\s*(\d{1,5})\)?", arg)
        text = "f ROW,COLUMN"
        if place is not None:
            text = self.stepper.pe_text(int(place[1]), int(place[2]))
        click.echo(text)

    def do_q(self, arg: str) -> bool:
        """End."""
        del arg
        return True
