"""The simulator from Python: `run`, `estimate`, what they take and what they return.

>>> import eyeriss_sim
>>> result = eyeriss_sim.run("lenet5", layers=["C1"])
>>> [layer] = result.layers
>>> result.network, layer.macs
('lenet5', 117600)

`python -m eyeriss_sim` is the command line. The code is in `sim`, `hw_models`, `workloads` and
`traces`; each name here is imported from there when it is first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hw_models.energy import EnergyTable as EnergyTable
    from hw_models.energy import load_energy_table as load_energy_table
    from hw_models.energy import shipped_energy_tables as shipped_energy_tables
    from hw_models.load import load_hardware as load_hardware
    from hw_models.load import shipped_hardware as shipped_hardware
    from hw_models.spec import Hardware as Hardware
    from sim.account.result import LayerResult as LayerResult
    from sim.account.result import Pricing as Pricing
    from sim.account.result import Result as Result
    from sim.dataflow.row_stationary.mapping import Mapping as Mapping
    from sim.errors import InputError as InputError
    from sim.errors import SimulationError as SimulationError
    from sim.reference.validation import validate as validate
    from sim.report.load import of_result as of_result
    from sim.report.load import read_result as read_result
    from sim.report.page.html import render_page as render_page
    from sim.report.plots.figures import draw as draw
    from sim.report.views import views as views
    from sim.run import Values as Values
    from sim.run import estimate as estimate
    from sim.run import load_pricing as load_pricing
    from sim.run import run as run
    from traces.reader import open_trace as open_trace
    from workloads.layer import Layer as Layer
    from workloads.network import Network as Network
    from workloads.network import load_network as load_network
    from workloads.network import shipped_networks as shipped_networks

_HOMES = {
    "EnergyTable": "hw_models.energy",
    "Hardware": "hw_models.spec",
    "InputError": "sim.errors",
    "Layer": "workloads.layer",
    "LayerResult": "sim.account.result",
    "Mapping": "sim.dataflow.row_stationary.mapping",
    "Network": "workloads.network",
    "Pricing": "sim.account.result",
    "Result": "sim.account.result",
    "SimulationError": "sim.errors",
    "Values": "sim.run",
    "draw": "sim.report.plots.figures",
    "estimate": "sim.run",
    "load_energy_table": "hw_models.energy",
    "load_hardware": "hw_models.load",
    "load_network": "workloads.network",
    "load_pricing": "sim.run",
    "of_result": "sim.report.load",
    "open_trace": "traces.reader",
    "read_result": "sim.report.load",
    "render_page": "sim.report.page.html",
    "run": "sim.run",
    "shipped_energy_tables": "hw_models.energy",
    "shipped_hardware": "hw_models.load",
    "shipped_networks": "workloads.network",
    "validate": "sim.reference.validation",
    "views": "sim.report.views",
}


def __getattr__(name: str) -> Any:
    """Import `name` from where it is defined."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return all names, imported yet or not."""
    return sorted({*globals(), *_HOMES})


if __name__ == "__main__":
    from sim.cli import main

    sys.exit(main())
