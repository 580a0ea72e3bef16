"""What commands write: text on stdout, and files that are either whole or not touched."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sim.account.result import Result

    WriteBinary = Callable[[IO[bytes]], None]

STDOUT = "-"
ONE_LINE = 96  # characters; a small object or list is easier to read on one line


def write_stdout(text: str) -> None:
    """Write text to stdout; a failure names it."""
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


def stdout_width() -> int:
    """Return the columns for text on stdout: the terminal's within 80 to 100, 80 without one."""
    if not _stdout_is_terminal():
        return 80
    return min(max(shutil.get_terminal_size().columns, 80), 100)


def color_on_stdout() -> bool:
    """Return whether headings may be bold: stdout is a terminal, and NO_COLOR is not set."""
    return _stdout_is_terminal() and not os.environ.get("NO_COLOR")


def _stdout_is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


class Target:
    """A file to be written later: checked now, replaced whole then, untouched by any failure.

    `-` is stdout. What is no regular file, a pipe or a device, is written as it is.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_stdout = name == STDOUT
        self._path = Path(os.path.realpath(name)) if not self.is_stdout else Path()

    def check(self) -> None:
        """Find out whether the file can be written, and leave everything as it was.

        Raises:
            OSError: it cannot; with the name that the user gave.

        """
        if self.is_stdout:
            return
        try:
            if self._exists():
                if not os.access(self._path, os.W_OK):
                    raise PermissionError(13, "Permission denied")
                if not self._is_regular():
                    return
            descriptor, temporary = self._temporary()
            os.close(descriptor)
            temporary.unlink()
        except OSError as error:
            raise self._named(error) from None

    def write(self, text: str) -> None:
        """Write the text.

        Raises:
            OSError: it could not be written; with the name that the user gave.

        """
        if self.is_stdout:
            write_stdout(text)
            return

        self.write_bytes(text.encode())

    def write_bytes(self, data: bytes) -> None:
        """Write the bytes.

        Raises:
            OSError: they could not be written; with the name that the user gave.

        """

        def write(stream: IO[bytes]) -> None:
            stream.write(data)

        self.write_binary(write)

    def write_binary(self, write: WriteBinary) -> None:
        """Write what `write` writes into a stream of bytes that it can also seek in.

        Raises:
            OSError: it could not be written; with the name that the user gave.

        """
        try:
            if self._exists() and not self._is_regular():
                whole = BytesIO()
                write(whole)
                self._path.write_bytes(whole.getvalue())
                return
            self._replace(write)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._named(error) from None

    def _replace(self, write: WriteBinary) -> None:
        descriptor, temporary = self._temporary()
        try:
            with os.fdopen(descriptor, "wb") as stream:
                write(stream)
            if self._exists():
                temporary.chmod(stat.S_IMODE(self._path.stat().st_mode))
            temporary.replace(self._path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise

    def _temporary(self) -> tuple[int, Path]:
        # In the target's folder, so that the replacement is one step of the file system.
        path = self._path.parent / f".eyeriss-sim-{os.getpid()}-{secrets.token_hex(4)}.tmp"
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), path

    def _exists(self) -> bool:
        if self._path.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        try:
            self._path.stat()
        except FileNotFoundError:
            return False
        return True

    def _is_regular(self) -> bool:
        return stat.S_ISREG(self._path.stat().st_mode)

    def _named(self, error: OSError) -> OSError:
        reason = error.strerror or "not all of it fits"  # NumPy counts bytes and gives no number
        return OSError(error.errno, f"cannot be written: {reason}", self.name)


def keep_apart(written: Mapping[str, str | None], read: Iterable[str | None] = ()) -> None:
    """Refuse a file that two options write, or that is read as well: one of the two would be lost.

    `written` is by option; None, `-` and what is no regular file take no part.

    Raises:
        click.UsageError: two are the same file, or a name is empty.

    """
    for option, name in written.items():
        if name == "":
            raise click.UsageError(
                f"{option} '': is no file name; leave the option out, or name one"
            )
    taken = {_regular(name): "" for name in read}
    for option, name in written.items():
        file = _regular(name)
        if file is None:
            continue
        if file in taken:
            what = f"the file of {taken[file]}, too" if taken[file] else "a file that is read"
            raise click.UsageError(f"{option} {name}: is {what}; name another one")
        taken[file] = option


def _regular(name: str | None) -> Path | None:
    """Return the regular file of a name, or the one to be; None for a device, pipe or folder."""
    if name is None or name == STDOUT:
        return None
    try:
        file = Path(os.path.realpath(name))
        return None if file.exists() and not file.is_file() else file
    except (OSError, ValueError):  # whoever opens it says what is wrong
        return None


def write_result(
    result: Result, target: Target | None, *, quiet: bool, brief: bool, legends: bool
) -> None:
    """Write the result file and the summary, as `write_found`."""

    def render(**how: Any) -> str:
        from sim.report.text.summary import render_brief, render_result

        return (
            render_brief(result, **how) if brief else render_result(result, legends=legends, **how)
        )

    write_found(result.to_dict, render, target, quiet=quiet)


def write_found(
    data: Callable[[], dict[str, Any]],
    render: Callable[..., str],
    target: Target | None,
    *,
    quiet: bool,
) -> None:
    """Write the file, and the text on stdout unless `quiet` or the file takes stdout.

    `render` takes `width` and `color`.
    """
    try:
        if target is not None:
            target.write(json_text(data()))
    finally:  # a full disk shall not take the text with it
        if not quiet and not (target is not None and target.is_stdout):
            write_stdout(render(width=stdout_width(), color=color_on_stdout()))


def json_text(data: Any) -> str:
    """Return `data` as JSON, indented, with lists of numbers and small objects on one line."""
    return "".join(_json(data, "")) + "\n"


def _json(data: Any, indent: str) -> Iterator[str]:
    inner = list(data.values()) if isinstance(data, dict) else data
    if not isinstance(inner, list):
        yield _plain(data)
        return
    if not any(isinstance(item, dict | list) for item in inner):
        line = _plain(data)
        if isinstance(data, list) or len(line) <= ONE_LINE:
            yield line
            return
    deeper = indent + " "
    opening, closing = "{}" if isinstance(data, dict) else "[]"
    keys = [f"{_plain(str(key))}: " for key in data] if isinstance(data, dict) else [""] * len(data)
    yield opening
    for place, (key, item) in enumerate(zip(keys, inner, strict=True)):
        yield f"{',' if place else ''}\n{deeper}{key}"
        yield from _json(item, deeper)
    yield f"\n{indent}{closing}"


def _plain(data: Any) -> str:
    return json.dumps(data, allow_nan=False, ensure_ascii=False)
