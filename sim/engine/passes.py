"""Where a pass of the plan meets the machine: its program, and real words in the program's order.

Here, and where real words are cut into passes (`values`), the engine knows a dataflow. A program is
built when a pass is simulated, not when its outcome is reused: that goes by the shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import simpy

from sim.dataflow.row_stationary.program import pass_program
from sim.dataflow.row_stationary.words import stream_words
from sim.engine.machine import Machine

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.row_stationary.passes import PassShape
    from sim.dataflow.row_stationary.words import PassData
    from sim.engine.dram import PrefetchState


def pass_machine(
    shape: PassShape,
    hw: Hardware,
    start: PrefetchState,
    data: PassData | None = None,
    environment: Callable[[], simpy.Environment] = simpy.Environment,
) -> Machine:
    """The machine for a pass that starts with its filters so far; with `data` real words move."""
    words = stream_words(shape, data) if data is not None else None
    return Machine(pass_program(shape, hw), hw, start, words, environment)
