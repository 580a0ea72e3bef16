"""FODLAM, the first-order model of 2017: the cost of a network from published figures alone.

`look_up` and `scale` are its two ways, `estimate_network` chooses between them for a network of
ours, and `estimate_config` reads its own input.

>>> from sim.models.fodlam import look_up
>>> look_up("VGG16", ["CONV1-1", "FC8"]).totals()["conv"]
{'energy': 0.0188214, 'latency': 0.0762}
"""

from sim.models.fodlam.figures import Cost, MeasuredLayer, measured_layers, normalise
from sim.models.fodlam.files import estimate_config
from sim.models.fodlam.model import (
    EstimatedLayer,
    FodlamResult,
    LayerMacs,
    average_cost_per_mac,
    diagnose,
    estimate_network,
    look_up,
    scale,
)

__all__ = [
    "Cost",
    "EstimatedLayer",
    "FodlamResult",
    "LayerMacs",
    "MeasuredLayer",
    "average_cost_per_mac",
    "diagnose",
    "estimate_config",
    "estimate_network",
    "look_up",
    "measured_layers",
    "normalise",
    "scale",
]
