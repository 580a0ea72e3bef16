"""Records runs for the tests of traces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import traces
from sim.check.cases import Case
from sim.recorder import TraceRecorder
from sim.run import NetworkPlan, Result, Values, prepare, simulate
from traces.reader import Trace
from traces.replay import LayerReplay, replay

ALEXNET = ("CONV1", "CONV2", "CONV3", "CONV4", "CONV5")


def record(
    path: Path, prepared: NetworkPlan, *, values: Values | None = None, **limits: Any
) -> Result:
    """Simulate what is prepared and write a trace of it."""
    with TraceRecorder(path, prepared, values=values, **limits) as recorder:
        return simulate(prepared, values=values, observers=[recorder])


def of_case(case: Case) -> NetworkPlan:
    """A case of the cross-check, ready to run."""
    plan = case.plan
    return NetworkPlan("case", case.batch, plan.hw, (plan,), (), ())


def lenet5(batch: int = 1, layers: Sequence[str] = ()) -> NetworkPlan:
    """LeNet-5, or some of its layers, always under the same mappings."""
    mapping = str(Path(__file__).parents[1] / "lenet5_mapping.yaml")
    return prepare("lenet5", batch=batch, layers=layers, mapping=mapping)


def replayed(path: Path) -> list[LayerReplay]:
    """All layers of a trace, rebuilt."""
    with traces.open(path) as found:
        return list(replay(found))


def opened(path: Path) -> Trace:
    """An open trace."""
    return traces.open(path)
