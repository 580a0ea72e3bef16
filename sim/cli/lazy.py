"""Groups of commands whose modules are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports the one that is used.

    `known` is name -> module with an attribute of that name (`_` for `-`, and behind a keyword of
    Python), and the line in the list of commands.
    """

    def __init__(self, *args: Any, known: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known = known

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return names of all commands."""
        return list(self._known)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command of that name; None where it does not exist."""
        if cmd_name not in self._known:
            return None
        module = import_module(self._known[cmd_name][0])
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, f"{name}_" if iskeyword(name) else name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._known.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names, with the rest of the arguments."""
        if args and args[0] not in self._known and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], self._known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)
