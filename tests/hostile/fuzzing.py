"""What the fuzz tests share: cases in chunks, bounded in time, and files that are nearly right.

A test in this folder imports from here by name: `from fuzzing import fuzz`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

Case = TypeVar("Case")


class HangError(Exception):
    """A case took longer than any case may take."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Break off what takes longer, also an endless loop."""

    def late(*_: object) -> None:
        raise HangError(f"no end after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fuzz(
    strategy: st.SearchStrategy[Case],
    check: Callable[[Case], None],
    *,
    cases: int,
    chunk: int,
    seconds: float = 20.0,
) -> int:
    """Run `check` on that many cases, others for each chunk; how many ran."""
    ran = 0

    @seed(chunk)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(strategy)
    def run(case: Case) -> None:
        nonlocal ran
        ran += 1
        with at_most(seconds):
            check(case)

    run()
    return ran


# --- files ----------------------------------------------------------------------------------------

NASTY = (
    "", "null", "~", "0", "-1", "1e999", "-1e-400", ".nan", "-.inf", "9" * 30, "9" * 5000, "[]",
    "{}", "[1, 2]", "[[1]]", "{a: 1}", "!!python/object/apply:os.system [x]", "!!int 3", "*a",
    "&a 1", "true", "no", "'text'", "\0", "\ufeff", "\x1b[31m", "0x10", "1_000", "010", "1.5",
    "2001-01-01", "<<: 1", "? a", "- a", "\t", "65536", "65537", "1048576", "é", "\U0001f923",
    '"\\ud800"', "|\n  a", ">\n  a", "# no", "---", "...", "%YAML 1.1", "a: b: c", "[", "}", "'",
    "conv", "eyeriss_v1", "m=1", "../gone.yaml", "/dev/zero", "1" * 70, "[" * 200, "{a: " * 200,
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, good: str) -> bytes:
    """A good text with a few things wrong."""
    lines = good.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        here = draw(st.integers(0, len(lines) - 1)) if lines else 0
        line = lines[here] if lines else ""
        match draw(st.integers(0, 8)):
            case 0:  # a value replaced
                key, colon, _value = line.partition(":")
                lines[here : here + 1] = [f"{key}{colon} {draw(st.sampled_from(NASTY))}"]
            case 1:  # a line gone
                lines[here : here + 1] = []
            case 2:  # a line twice
                lines[here:here] = [line]
            case 3:  # another indentation
                lines[here : here + 1] = [" " * draw(st.integers(0, 6)) + line.lstrip()]
            case 4:  # a letter changed
                at = draw(st.integers(0, max(0, len(line) - 1)))
                letter = draw(st.characters(codec="utf-8"))
                lines[here : here + 1] = [line[:at] + letter + line[at + 1 :]]
            case 5:  # something in between
                lines[here:here] = [draw(st.sampled_from(NASTY))]
            case 6:  # the end missing
                lines = [*lines[:here], line[: draw(st.integers(0, len(line)))]]
            case 7:  # a number changed
                digits = [place for place, letter in enumerate(line) if letter.isdigit()]
                if digits:
                    at = draw(st.sampled_from(digits))
                    number = str(draw(st.integers(-3, 1 << 40)))
                    lines[here : here + 1] = [line[:at] + number + line[at + 1 :]]
            case 8:  # two lines swapped
                other = draw(st.integers(0, len(lines) - 1)) if lines else 0
                if lines:
                    lines[here], lines[other] = lines[other], lines[here]
    raw = "\n".join(lines).encode()
    if draw(st.integers(0, 9)) == 0 and raw:
        at = draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + draw(st.binary(max_size=4)) + raw[at + 1 :]
    return raw


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return str(value)


def structures(keys: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """YAML of any structure, with keys that the reader may know."""
    scalars = st.one_of(
        st.sampled_from(NASTY),
        st.integers(-(1 << 70), 1 << 70),
        st.floats(),
        st.booleans(),
        st.text(st.characters(codec="utf-8"), max_size=8),
        st.sampled_from(keys),
    )
    values = st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.one_of(st.sampled_from(keys), st.text(max_size=4)), inner),
        ),
        max_leaves=12,
    )
    top = st.dictionaries(st.sampled_from(keys), values, max_size=8)
    return top.map(
        lambda data: "\n".join(f"{key}: {_flow(value)}" for key, value in data.items()).encode(
            errors="replace"
        )
    )


def texts() -> st.SearchStrategy[bytes]:
    """Anything at all."""
    return st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode(errors="replace")),
        st.text("[]{}:,-?&*!|>'\"%@`# \n\tab1", max_size=60).map(str.encode),
    )


def files(good: str, keys: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """Files for a reader that takes `good`, whose keys are `keys`."""
    return st.one_of(mutated(good), mutated(good), structures(keys), texts())
