"""What can go wrong inside `sim`, and how it is reported.

A user's mistake is an `InputError` (from `workloads.inputs.faults`, as every package raises the
same one): the command line prints its faults and exits with 2. A `SimulationError` is a defect of
the simulator, never the user's: a conservation law that does not hold, or a deadlock. A
`WorkerKilledError` is neither's.
"""

from workloads.inputs.faults import Fault, InputError

__all__ = [
    "DeadlockError",
    "Fault",
    "InputError",
    "MappingError",
    "SimulationError",
    "WorkerKilledError",
]


class MappingError(InputError):
    """A mapping that breaks rules of the chip, or a layer beyond the chip's limits.

    Every broken rule is one fault, with the rule, the value and the limit.
    """


class SimulationError(Exception):
    """A law that the machine must keep was broken: a defect of the simulator."""


class DeadlockError(SimulationError):
    """Nothing can happen any more though work is left; names who waits for whom."""


class WorkerKilledError(Exception):
    """Processes that helped with a run were killed from outside, again and again."""
