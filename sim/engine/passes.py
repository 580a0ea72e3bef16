"""Where a pass of the plan meets the machine: its program, and real words in the program's order.

Both come from the lowering of the pass's dataflow, which the shape names. A program is built when a
pass is simulated, not when its outcome is reused: that goes by the shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import simpy

from sim.dataflow.program import find_lowering
from sim.engine.machine import Machine

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.base import PassShape
    from sim.dataflow.program import PassData
    from sim.engine.dram import PrefetchState


def pass_machine(
    shape: PassShape,
    hw: Hardware,
    start: PrefetchState,
    data: PassData | None = None,
    environment: Callable[[], simpy.Environment] = simpy.Environment,
) -> Machine:
    """Return wire the machine for a pass that starts with its filters at `start`.

    With `data` real words move through it.
    """
    lowering = find_lowering(shape.dataflow)
    words = lowering.stream_words(shape, data, hw) if data is not None else None
    return Machine(lowering.program(shape, hw), hw, start, words, environment)
