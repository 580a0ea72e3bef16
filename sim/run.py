"""The facade: a network, a chip and a mapping in, a `Result` out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from sim.account.result import (
    LayerResult,
    Pricing,
    RefusedLayer,
    Result,
    ValuesCheck,
    layer_result,
)
from sim.errors import Fault, InputError, MappingError
from sim.plan.choose import choose_mappings
from sim.plan.schedule import Plan, make_plan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.engine.layer import PassMemory
    from sim.engine.values import LayerData
    from workloads.network import Network

    LayerProgress = Callable[[str, int, int, int], None]

MOST_IMAGES = 4096


def make_plans(
    network: Network, batch: int, hw: Hardware, mapping: str
) -> tuple[list[Plan], list[RefusedLayer], list[str]]:
    """Lay out every layer of the network: plans, refused layers and notes.

    Raises:
        InputError: `mapping` cannot be read, or `batch` is out of range.

    """
    if not 1 <= batch <= MOST_IMAGES:
        raise InputError(Fault("", None, "--batch", f"must be 1 to {MOST_IMAGES}, got {batch}"))
    plans: list[Plan] = []
    refused: list[RefusedLayer] = []
    notes: list[str] = []
    choices = choose_mappings(mapping, network.name, network.layers, batch, hw)
    for layer, choice in zip(network.layers, choices, strict=True):
        try:
            if isinstance(choice, MappingError):
                raise choice
            plans.append(make_plan(layer, batch, hw, choice.mapping, choice.source))
        except MappingError as error:
            refused.append(RefusedLayer(layer.name, tuple(fault.message for fault in error.faults)))
            continue
        if choice.note:
            notes.append(choice.note)
    return plans, refused, notes


@dataclass(frozen=True)
class Values:
    """Real words for a run: given arrays for a single layer, or random ones from a seed.

    `ifmap` is (N, G*C, H, W) and `filters` (M, C, R, S), 16-bit signed integers.
    """

    seed: int = 0
    ifmap: NDArray[np.int64] | None = None
    filters: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Prepared:
    """A network laid out on a chip, ready to be simulated or estimated."""

    network: str
    batch: int
    hw: Hardware
    plans: tuple[Plan, ...]
    refused: tuple[RefusedLayer, ...]
    notes: tuple[str, ...]

    def result(self, engine: str, layers: Sequence[LayerResult]) -> Result:
        """The result of all layers."""
        return Result(
            engine, self.network, self.batch, self.hw, tuple(layers), self.refused, self.notes
        )


def prepare(
    network: Network | str = "alexnet",
    *,
    layers: Sequence[str] = (),
    batch: int | None = None,
    hw: Hardware | str = "eyeriss_v1",
    mapping: str = "published",
) -> Prepared:
    """Load what is named and lay out its layers; arguments and errors as in `run`."""
    network, batch, hw = resolve(network, layers, batch, hw)
    plans, refused, notes = make_plans(network, batch, hw, mapping)
    return Prepared(network.name, batch, hw, tuple(plans), tuple(refused), tuple(notes))


def run(
    network: Network | str = "alexnet",
    *,
    layers: Sequence[str] = (),
    batch: int | None = None,
    hw: Hardware | str = "eyeriss_v1",
    mapping: str = "published",
    every_pass: bool = False,
    values: Values | None = None,
    pricing: Pricing | None = None,
    jobs: int = 1,
    progress: LayerProgress | None = None,
) -> Result:
    """Simulate layers of a network event by event.

    Args:
        network: a network, the name of a shipped one, or the path of a file.
        layers: names of the layers to simulate; all of them where empty.
        batch: images; the network's own batch where None.
        hw: a chip, the name of a shipped one, or the path of a file.
        mapping: `published`, `alternative`, `auto`, `m=..,n=..,..` or the path of a file.
        every_pass: simulate every pass, also those equal to an earlier one; the result is the same.
        values: move real words through the machine and compare the ofmap with NumPy's.
        pricing: what accesses cost (`load_pricing`); the normalised table of ISCA 2016 where None.
        jobs: processes to use; the result is the same for any number.
        progress: called with the layer's name, passes done, passes in all and passes simulated.

    Raises:
        InputError: something given is wrong; carries one fault for each mistake. A layer that the
            chip cannot run is no error here: it stands in `Result.refused` with its reasons.
        SimulationError: a law of the machine was broken; a defect of the simulator.

    """
    prepared = prepare(network, layers=layers, batch=batch, hw=hw, mapping=mapping)
    return simulate(
        prepared,
        every_pass=every_pass,
        values=values,
        pricing=pricing,
        jobs=jobs,
        progress=progress,
    )


def simulate(
    prepared: Prepared,
    *,
    every_pass: bool = False,
    values: Values | None = None,
    pricing: Pricing | None = None,
    jobs: int = 1,
    progress: LayerProgress | None = None,
) -> Result:
    """Simulate what has been prepared; arguments and errors as in `run`."""
    from sim.engine.layer import PassMemory

    if jobs < 1:
        raise InputError(Fault("", None, "--jobs", f"must be 1 or more, got {jobs}"))
    pricing = pricing if pricing is not None else load_pricing()
    memory = PassMemory(prepared.hw)
    one = partial(
        _simulate_one, memory=memory, every_pass=every_pass, values=values, pricing=pricing
    )
    if jobs > 1 and (every_pass or values is not None):
        # Nothing is shared between layers here, so they go to the workers whole.
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor(max_workers=jobs) as pool:
            return prepared.result("event", list(pool.map(one, prepared.plans)))
    if jobs > 1:
        from sim.engine.parallel import simulate_ahead

        ahead = None
        if progress is not None:

            def ahead(done: int, total: int) -> None:
                progress(f"distinct passes on {jobs} processes", done, total, done)

        simulate_ahead(memory, prepared.plans, jobs, ahead)
    return prepared.result("event", [one(plan, progress=progress) for plan in prepared.plans])


def _simulate_one(
    plan: Plan,
    *,
    memory: PassMemory,
    every_pass: bool,
    values: Values | None,
    pricing: Pricing,
    progress: LayerProgress | None = None,
) -> LayerResult:
    from sim.engine.layer import simulate_layer

    data = _layer_data(plan, values) if values is not None else None
    activity = simulate_layer(
        plan,
        memory=memory,
        every_pass=every_pass,
        data=data,
        progress=partial(progress, plan.layer.name) if progress is not None else None,
    )
    return layer_result(
        plan,
        activity,
        causes=activity.causes,
        stalls=activity.stalls,
        passes_simulated=activity.passes_simulated,
        events=activity.events,
        values=_compare_values(plan, data, values) if data and values else None,
        pricing=pricing,
    )


def estimate(
    network: Network | str = "alexnet",
    *,
    layers: Sequence[str] = (),
    batch: int | None = None,
    hw: Hardware | str = "eyeriss_v1",
    mapping: str = "published",
    pricing: Pricing | None = None,
) -> Result:
    """The same figures as `run` from the closed form; arguments and errors as there."""
    prepared = prepare(network, layers=layers, batch=batch, hw=hw, mapping=mapping)
    return predict(prepared, pricing=pricing)


def predict(prepared: Prepared, *, pricing: Pricing | None = None) -> Result:
    """Estimate what has been prepared, in closed form."""
    from sim.analytic.layer import estimate_layer

    pricing = pricing if pricing is not None else load_pricing()

    results: list[LayerResult] = []
    for plan in prepared.plans:
        found = estimate_layer(plan)
        bounds: Counter[str] = Counter()
        for share in found.bounds:
            bounds[share.bound] += share.cycles
        results.append(
            layer_result(
                plan,
                found,
                causes=found.causes,
                stalls=found.stalls,
                passes_simulated=0,
                bounds=dict(bounds),
                pricing=pricing,
            )
        )
    return prepared.result("closed-form", results)


def load_pricing(table: str = "isca2016", precision: str | None = None) -> Pricing:
    """An energy table, and the bits and pruning of layers from a precision file.

    Args:
        table: the name of a shipped table or the path of a file.
        precision: the path of a file that gives each layer's pruned share of weights and the bits
            of weights and activations (docs/energy.md); 16 bit and nothing pruned where None.

    Raises:
        InputError: a file is wrong.

    """
    from hw_models.energy import load_energy_table
    from sim.analytic.first_order import read_precisions

    found = read_precisions(precision) if precision is not None else {}
    return Pricing(
        table=load_energy_table(table),
        bits={
            name: {
                "filter": given.weight_bits,
                "ifmap": given.activation_bits,
                "psum": given.activation_bits,
                "ofmap": given.activation_bits,
            }
            for name, given in found.items()
        },
        pruned={name: given.pruned for name, given in found.items()},
    )


def _layer_data(plan: Plan, values: Values) -> LayerData:
    from sim.engine.values import LayerData, random_words

    ifmap, filters = random_words(plan, values.seed)
    if values.ifmap is not None:
        ifmap = _given("--ifmap", values.ifmap, ifmap.shape)
    if values.filters is not None:
        filters = _given("--filter", values.filters, filters.shape)
    return LayerData(plan, ifmap, filters)


def _given(name: str, words: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Check an array that the user gave: shape, whole numbers, 16 bit."""
    if words.shape != shape:
        fault = f"has shape {words.shape}, the layer needs {shape}"
    elif words.dtype.kind not in "iu":
        fault = f"has elements of type {words.dtype}, whole numbers are needed"
    elif words.size and (words.min() < -(1 << 15) or words.max() >= 1 << 15):
        fault = f"holds {words.min()} to {words.max()}, a word is -32768 to 32767"
    else:
        return words
    raise InputError(Fault("", None, name, fault))


def _compare_values(plan: Plan, data: LayerData, values: Values) -> ValuesCheck:
    from sim.check.convolution import convolve

    expected = convolve(plan.layer, data.ifmap, data.filters, plan.hw.arithmetic.psum_bits)
    given = values.ifmap is not None or values.filters is not None
    return ValuesCheck(
        ofmap=data.psums,
        wrong=int((expected != data.psums).sum()),
        seed=None if given else values.seed,
    )


def resolve(
    network: Network | str, layers: Sequence[str], batch: int | None, hw: Hardware | str
) -> tuple[Network, int, Hardware]:
    """Load what is named and select the layers; the batch defaults to the network's."""
    if isinstance(network, str):
        from workloads.network import load_network

        network = load_network(network)
    if isinstance(hw, str):
        from hw_models.load import load_hardware

        hw = load_hardware(hw)
    if layers:
        network = replace(network, layers=network.select(layers))
    return network, network.batch if batch is None else batch, hw
