"""The first-order energy estimator of 2022 for Eyeriss-like chips: words counted from shapes alone.

Nothing of the machine goes in: an array of rows and columns, prices of its own, and the network's
shapes. `sim.check.audit` compares its counts with the machine's.

>>> from sim.models.first_order import estimate_network, example_network
>>> float(estimate_network(example_network()).total)
19413479256.0
"""

from sim.models.first_order.files import (
    EXAMPLE_NETWORK,
    example_network,
    example_precisions,
    find_network,
)
from sim.models.first_order.model import (
    ARRAY,
    DATA_TYPES,
    LEVELS,
    PRICES,
    FirstOrderLayer,
    FirstOrderResult,
    estimate_layer,
    estimate_network,
)

__all__ = [
    "ARRAY",
    "DATA_TYPES",
    "EXAMPLE_NETWORK",
    "LEVELS",
    "PRICES",
    "FirstOrderLayer",
    "FirstOrderResult",
    "estimate_layer",
    "estimate_network",
    "example_network",
    "example_precisions",
    "find_network",
]
