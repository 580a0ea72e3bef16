"""The facade: a network, a chip and a mapping in, a `Result` out."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hw_models.energy import DEFAULT_TABLE, load_energy_table
from hw_models.load import load_hardware
from hw_models.vocabulary import OPERANDS, DataType, Phase
from sim.account.result import (
    MOST_FILE_MEMORY,
    LayerResult,
    Pricing,
    RefusedLayer,
    Result,
    ValuesCheck,
    layer_result,
)
from sim.account.timeline import PassKind, Timeline
from sim.analytic.bound import layer_bound
from sim.analytic.form import eyexam
from sim.dataflow.base import Plan
from sim.errors import Fault, InputError, MappingError
from sim.mapper.choose import choose_mappings
from sim.plan.limits import (
    MOST_BYTES,
    MOST_KEPT,
    file_memory,
    layer_bytes,
    mib,
    result_bytes,
    run_bytes,
)
from sim.plan.make import make_plan
from sim.plan.order import Order, Runs, fold_blocks, runs_of
from sim.plan.sizes import thinned
from workloads.inputs.json_text import json_memory
from workloads.network import MAX_BATCH, load_network

if TYPE_CHECKING:
    from typing import Protocol

    import numpy as np
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.analytic.form import LayerEstimate
    from sim.engine.layer_run import LayerActivity, PassMemory
    from sim.engine.probe import Observer
    from sim.engine.values import LayerData
    from workloads.layer import Layer
    from workloads.network import Network
    from workloads.precision import Precision

    LayerProgress = Callable[[str, int, int, int], None]

    # For type checkers alone: importing what it extends imports SimPy.
    class RunObserver(Observer, Protocol):
        """Who watches a run and its results."""

        def layer_result(self, result: LayerResult, pricing: Pricing) -> None:
            """Take the result of a layer, which has been booked."""


MOST_JOBS = 256  # processes; more are never faster
MOST_READINGS = 24  # of a product of matrices that are tried
MOST_ORDERED = 200_000  # m-blocks that the closed form counts out for the order of passes alone


def make_plans(
    network: Network, batch: int, hw: Hardware, mapping: str | None
) -> tuple[list[Plan], list[RefusedLayer], list[str]]:
    """Lay out every layer of the network: plans, refused layers and notes.

    Raises:
        InputError: `mapping` cannot be read, `batch` is out of range, or the results would be too
            large.

    """
    if not 1 <= batch <= MAX_BATCH:
        raise InputError(Fault("", None, "--batch", f"must be 1 to {MAX_BATCH}, got {batch}"))
    plans: list[Plan] = []
    refused: list[RefusedLayer] = []
    notes: dict[str, None] = {}
    readings = [_readings(layer) for layer in network.layers]
    every = [reading for layer in readings for reading in layer]
    choices = iter(choose_mappings(mapping, network.name, every, batch, hw, network.left_out))
    for layer in readings:
        legal: list[tuple[Plan, str]] = []
        broken: list[MappingError] = []
        for reading in layer:
            choice = next(choices)
            try:
                if isinstance(choice, MappingError):
                    raise choice
                plan = make_plan(reading, batch, hw, choice.mapping, choice.source)
                legal.append((plan, choice.note))
            except MappingError as error:
                broken.append(error)
        if not legal:
            reasons = tuple(fault.message for fault in broken[0].faults)
            refused.append(RefusedLayer(layer[0].name, reasons))
            continue
        plan, note = legal[0] if len(layer) == 1 else min(legal, key=_estimated_cycles)
        plans.append(plan)
        if note:
            notes[note] = None
        if len(layer) > 1:
            notes[_which_reading(plan.layer, len(layer))] = None
    needed = run_bytes(plans)
    if needed > MOST_BYTES:
        raise InputError(
            Fault(
                "",
                None,
                f"{network.name} on {hw.name}",
                f"the largest of {len(plans)} layers and the results of all on {hw.pes} PEs take "
                f"{mib(needed)} MiB of memory, limit {mib(MOST_BYTES)}: name fewer layers with "
                "--layer, or use a smaller array",
            )
        )
    return plans, refused, list(notes)


def _readings(layer: Layer) -> list[Layer]:
    """Return the readings of a layer that are tried; of very many those spread evenly."""
    readings = layer.readings
    return [readings[place] for place in thinned(range(len(readings)), MOST_READINGS)]


def _estimated_cycles(found: tuple[Plan, str]) -> int:
    """Return the total latency in closed form."""
    from sim.analytic.form import estimate_layer

    estimate = estimate_layer(found[0])
    waited = estimate.standstill
    return estimate.cycles + waited.ifmap_cycles + waited.ofmap_cycles


def _which_reading(layer: Layer, tried: int) -> str:
    return (
        f"{layer.name}: {layer.E * layer.F} x {layer.C} by {layer.C} x {layer.Mg} read as an ofmap "
        f"of {layer.E} x {layer.F}, best of {tried}"
    )


@dataclass(frozen=True)
class Values:
    """Real words for a run: given arrays for a single layer, or random ones from a seed.

    `ifmap` is (N, G*C, H, W), for a product of matrices in any of its readings, and `filters`
    (M, C, R, S), signed integers that fit the chip's words.
    """

    seed: int = 0
    ifmap: NDArray[np.int64] | None = None
    filters: NDArray[np.int64] | None = None

    @property
    def drawn_from(self) -> int | None:
        """The seed, where some of the words are drawn from it."""
        return self.seed if self.ifmap is None or self.filters is None else None


@dataclass(frozen=True)
class NetworkPlan:
    """A network laid out on a chip, ready to be simulated or estimated."""

    network: str
    batch: int
    hw: Hardware
    plans: tuple[Plan, ...]
    refused: tuple[RefusedLayer, ...]
    notes: tuple[str, ...]

    def result(
        self, engine: str, layers: Sequence[LayerResult], pricing: Pricing | None = None
    ) -> Result:
        """Return the result of all layers, which `pricing` has priced."""
        notes = (*self.notes, *_link_notes(layers, self.hw, pricing))
        return Result(engine, self.network, self.batch, self.hw, tuple(layers), self.refused, notes)


def _link_notes(
    layers: Sequence[LayerResult], hw: Hardware, pricing: Pricing | None
) -> Iterator[str]:
    """Return notes on the data of the DRAM link: whether it is coded, and its bits."""
    for layer in layers:
        name, coding = layer.layer.name, layer.dram_coding
        coded = " and ".join(kind for kind, how in coding.items() if how == "words")
        if coded:
            yield f"{name}: DRAM sizes of {coded} are those of the real words, run-length coded"
        plain = " and ".join(
            kind for kind, how in coding.items() if how == "raw" and _may_be_coded(layer, kind, hw)
        )
        if plain:
            yield f"{name}: {plain} not run-length coded on the DRAM link, as that is no smaller"
    for layer in layers:
        coded = " or ".join(kind for kind, how in layer.dram_coding.items() if how != "raw")
        if pricing is not None and pricing.bits.get(layer.layer.name):
            beside = f", no {coded} coded in DRAM" if coded else ""
            yield f"{layer.layer.name}: --precision scales no time, no bytes{beside}"


def _may_be_coded(layer: LayerResult, kind: str, hw: Hardware) -> bool:
    """Return whether the chip could code the data, and the share of its zeros is known."""
    known = layer.values is not None or getattr(layer.layer, f"{kind}_zero_fraction") is not None
    return hw.dram.rlc and known and not (kind == "ifmap" and layer.layer.network_input)


def prepare(
    network: Network | str = "alexnet",
    *,
    layers: Sequence[str] = (),
    batch: int | None = None,
    hw: Hardware | str = "eyeriss_v1",
    mapping: str | None = None,
) -> NetworkPlan:
    """Load what is named and lay out its layers; arguments and errors as in `run`."""
    network, batch, hw = resolve(network, layers, batch, hw)
    plans, refused, notes = make_plans(network, batch, hw, mapping)
    return NetworkPlan(
        network.name, batch, hw, tuple(plans), tuple(refused), (*network.notes, *notes)
    )


def run(
    network: Network | str = "alexnet",
    *,
    layers: Sequence[str] = (),
    batch: int | None = None,
    hw: Hardware | str = "eyeriss_v1",
    mapping: str | None = None,
    every_pass: bool = False,
    values: Values | None = None,
    pricing: Pricing | None = None,
    jobs: int = 1,
    progress: LayerProgress | None = None,
    told: Callable[[str], None] | None = None,
    observers: Sequence[RunObserver] = (),
) -> Result:
    """Simulate layers of a network event by event.

    Args:
        network: a network, the name of a shipped one, or the path of a file.
        layers: names of the layers to simulate, or patterns as `CONV*`; all of them where empty.
        batch: images; the network's own batch where None.
        hw: a chip, the name of a shipped one, or the path of a file.
        mapping: `published`, `alternative`, `auto`, `m=..,n=..,..` or the path of a file; where
            None, `published` on a chip with the array, spads and banks of the one that they were
            published for, else `auto`.
        every_pass: simulate every pass, also those equal to an earlier one; the result is the same.
        values: move real words through the machine and compare the ofmap with NumPy's.
        pricing: what accesses cost (`load_pricing`); the normalised table of ISCA 2016 where None.
        jobs: processes to use; the result is the same for any number.
        progress: called with the layer's name, passes done, passes in all and passes simulated.
        told: called with a sentence when a process was killed and its work is repeated.
        observers: hear what every pass did (`sim.recorder`); layers then run one by one.

    Raises:
        InputError: something given is wrong; carries one fault for each mistake. A layer that the
            chip cannot run is no error here: it is listed in `Result.refused` with its reasons.
        SimulationError: a law of the machine was broken; a defect of the simulator.
        WorkerKilledError: with `jobs`, processes were killed again and again.

    """
    prepared = prepare(network, layers=layers, batch=batch, hw=hw, mapping=mapping)
    return simulate(
        prepared,
        every_pass=every_pass,
        values=values,
        pricing=pricing,
        jobs=jobs,
        progress=progress,
        told=told,
        observers=observers,
    )


def simulate(
    prepared: NetworkPlan,
    *,
    every_pass: bool = False,
    values: Values | None = None,
    pricing: Pricing | None = None,
    jobs: int = 1,
    progress: LayerProgress | None = None,
    told: Callable[[str], None] | None = None,
    observers: Sequence[RunObserver] = (),
) -> Result:
    """Simulate what has been prepared; arguments and errors as in `run`."""
    from sim.engine.layer_run import PassMemory

    if jobs < 1:
        raise InputError(Fault("", None, "--jobs", f"must be 1 or more, got {jobs}"))
    jobs = min(jobs, MOST_JOBS)
    if values is not None:
        check_values(prepared)
    pricing = pricing if pricing is not None else load_pricing()
    room = MOST_BYTES - run_bytes(prepared.plans)
    memory = PassMemory(prepared.hw, max(0, min(MOST_KEPT, room)))
    if observers:
        from sim.engine.probe import Probe

        # One process, so that observers hear of passes in their order.
        jobs, memory.probe = 1, Probe(observers)
    one = partial(
        _simulate_one,
        memory=memory,
        every_pass=every_pass,
        values=values,
        pricing=pricing,
        observers=observers,
    )
    alone = every_pass or values is not None  # no layer recalls what another one simulated
    if jobs > 1 and alone and len(prepared.plans) > 1:
        from sim.engine.parallel import in_workers

        layers: dict[int, LayerResult] = {}
        for place, layer in in_workers(one, prepared.plans, jobs, told):
            layers[place] = layer
            if progress is not None:
                progress(layer.layer.name, layer.passes, layer.passes, layer.passes_simulated)
        return prepared.result("event", [layers[place] for place in sorted(layers)], pricing)
    with ExitStack() as running:
        if jobs > 1 and not alone:
            from sim.engine.parallel import simulated_ahead

            running.enter_context(simulated_ahead(memory, prepared.plans, jobs, told))
        return prepared.result(
            "event", [one(plan, progress=progress) for plan in prepared.plans], pricing
        )


def check_values(prepared: NetworkPlan) -> None:
    """Refuse layers whose real words cannot move; before any word is read or drawn.

    Psums are exact integers of 64 bit here, and words of every layer take memory.

    What counts with a layer are the ofmaps of the others, which the result has.

    Raises:
        InputError: one fault for each such layer.

    """
    ofmaps = [8 * plan.batch * plan.layer.ofmap_words for plan in prepared.plans]
    results = sum(map(result_bytes, prepared.plans)) + sum(ofmaps)
    faults = [
        Fault(
            "",
            None,
            f"{plan.layer.name}, batch {plan.batch}",
            f"--values takes {mib(needed)} MiB of memory with the ofmaps of all layers, limit "
            f"{mib(MOST_BYTES)}: a smaller batch or fewer layers take less",
        )
        for plan, ofmap in zip(prepared.plans, ofmaps, strict=True)
        if (needed := layer_bytes(plan, values=True) + results - ofmap) > MOST_BYTES
    ]
    widths = prepared.hw.word_bits
    for plan in prepared.plans:
        products = plan.layer.C * plan.layer.R * plan.layer.S
        # The largest product is that of the two least words.
        if products << (widths.ifmap + widths.filter - 2) >= 1 << 63:
            faults.append(
                Fault(
                    "",
                    None,
                    f"{plan.layer.name} on {prepared.hw.name}",
                    f"--values adds {products} products of {widths.ifmap} by {widths.filter} bit, "
                    "limit 64 bit for their sum: lower word_bits.ifmap or word_bits.filter",
                )
            )
    if faults:
        raise InputError(*faults)


def check_file(
    prepared: NetworkPlan, layers: Collection[str] = (), *, traced: bool = False
) -> None:
    """Refuse what would make a result file or page that is too large to be read again.

    `traced` is for a trace, of those layers where any are named, which has most figures twice.

    Raises:
        InputError: with the memory that the file takes, and the limit.

    """
    plans = [plan for plan in prepared.plans if not layers or plan.layer.name in layers]
    beside = json.dumps([prepared.notes, [refused.to_dict() for refused in prepared.refused]])
    needed = sum(map(file_memory, plans)) * (3 if traced else 1) + json_memory(beside.encode())
    if needed > MOST_FILE_MEMORY:
        raise InputError(
            Fault(
                "",
                None,
                f"{prepared.network} on {prepared.hw.name}",
                f"a {'trace' if traced else 'result file'} of {len(plans)} layers on "
                f"{prepared.hw.pes} PEs may take {mib(needed)} MiB of memory where its results are "
                f"read, limit {mib(MOST_FILE_MEMORY)}: name fewer layers with "
                f"{'--trace-layer' if traced else '--layer'}",
            )
        )


def _simulate_one(
    plan: Plan,
    *,
    memory: PassMemory,
    every_pass: bool,
    values: Values | None,
    pricing: Pricing,
    observers: Sequence[RunObserver],
    progress: LayerProgress | None = None,
) -> LayerResult:
    from sim.engine.layer_run import simulate_layer

    data = _layer_data(plan, values) if values is not None else None
    activity = simulate_layer(
        plan,
        memory=memory,
        every_pass=every_pass,
        data=data,
        progress=partial(progress, plan.layer.name) if progress is not None else None,
    )
    checked = None
    if data is not None and values is not None:
        checked = _compare_values(plan, data, values, activity.counts["mac.gated"])
    bound = layer_bound(plan)
    result = layer_result(
        plan,
        activity,
        causes=activity.causes,
        stalls=activity.stalls,
        passes_simulated=activity.passes_simulated,
        events=activity.events,
        queues=activity.queues,
        values=checked,
        pricing=pricing,
        timeline=_timeline(plan, activity),
        bound=bound,
        eyexam=eyexam(plan, activity.cycles, bound.text),
        coding=activity.coding,
    )
    for observer in observers:
        observer.layer_result(result, pricing)
    return result


def _timeline(plan: Plan, activity: LayerActivity) -> Timeline:
    kinds = []
    for kind in activity.kinds:
        phases: dict[str, int] = dict.fromkeys(Phase, 0)
        busy: dict[str, Sequence[float]] = {}
        if kind.profile is not None:
            phases = dict(zip(Phase, kind.profile.phases, strict=True))
            busy = kind.profile.busy
        phases[Phase.DRAIN] += kind.cycles - sum(phases.values())  # charged beyond the pass
        kinds.append(_pass_kind(plan, kind.shape, kind.cycles, kind.passes, phases, busy))
    return Timeline.of(kinds, activity.order)


def _estimated_timeline(plan: Plan, found: LayerEstimate) -> Timeline:
    kinds = []
    for kind in found.kinds:
        load = min(kind.load_cycles, kind.cycles)
        phases: dict[str, int] = {
            **dict.fromkeys(Phase, 0),
            Phase.LOAD: load,
            Phase.STEADY: kind.cycles - load,
        }
        kinds.append(_pass_kind(plan, kind.shape, kind.cycles, kind.passes, phases, {}))
    order = found.order
    if order is None:
        first = len(kinds) - 1
        others = {kind.shape: place for place, kind in enumerate(found.kinds[:first])}
        order = _planned_order(plan, others, first)
    return Timeline.of(kinds, order)


def _planned_order(plan: Plan, kinds: dict[Any, int], first: int) -> Order:
    """Return the order of a plan's passes, m-block by m-block; empty where there are too many.

    `kinds` has the kind of each shape, `first` is that of the layer's first pass.
    """
    if plan.m_block_count > MOST_ORDERED:
        return ()
    # By identity, which is quick: a tuple that is kept here keeps its own.
    known: dict[int, tuple[tuple[Any, ...], Runs]] = {}

    def runs(shapes: tuple[Any, ...]) -> Runs:
        if id(shapes) not in known:
            known[id(shapes)] = shapes, runs_of(kinds[shape] for shape in shapes)
        return known[id(shapes)][1]

    def blocks_in_order() -> Iterator[Runs]:
        blocks = plan.m_block_shapes()
        _, *others = next(blocks)
        yield runs_of([first, *(kinds[shape] for shape in others)])
        for shapes in blocks:
            yield runs(shapes)

    return fold_blocks(blocks_in_order())


def _pass_kind(
    plan: Plan,
    shape: Any,
    cycles: int,
    passes: int,
    phases: dict[str, int],
    busy: dict[str, Sequence[float]],
) -> PassKind:
    return PassKind(**plan.block(shape), cycles=cycles, passes=passes, phases=phases, busy=busy)


def estimate(
    network: Network | str = "alexnet",
    *,
    layers: Sequence[str] = (),
    batch: int | None = None,
    hw: Hardware | str = "eyeriss_v1",
    mapping: str | None = None,
    pricing: Pricing | None = None,
) -> Result:
    """Estimate the same figures analytically; arguments and errors as in `run`."""
    prepared = prepare(network, layers=layers, batch=batch, hw=hw, mapping=mapping)
    return predict(prepared, pricing=pricing)


def predict(prepared: NetworkPlan, *, pricing: Pricing | None = None) -> Result:
    """Estimate what has been prepared, in closed form."""
    from sim.analytic.form import estimate_layer, outside_proven_range

    unproven = outside_proven_range(prepared.hw)
    if unproven:
        prepared = replace(prepared, notes=(*prepared.notes, unproven))
    pricing = pricing if pricing is not None else load_pricing()
    results: list[LayerResult] = []
    for plan in prepared.plans:
        found = estimate_layer(plan)
        bound = layer_bound(plan)
        results.append(
            layer_result(
                plan,
                found,
                causes=found.causes,
                stalls=found.stalls,
                passes_simulated=0,
                bound=bound,
                pricing=pricing,
                timeline=_estimated_timeline(plan, found),
                eyexam=eyexam(plan, found.cycles, bound.text),
            )
        )
    return prepared.result("closed-form", results, pricing)


def load_pricing(
    table: str = DEFAULT_TABLE, precision: str | None = None, network: Network | None = None
) -> Pricing:
    """Load an energy table, and the bits and pruning of layers from a precision file.

    Args:
        table: the name of a shipped table or the path of a file.
        precision: the path of a file that gives each layer's pruned share of weights and the bits
            of weights and activations (docs/energy.md), or `alexnet_pruned`, the shipped example;
            16 bit and nothing pruned where None.
        network: the network whose layers the precision file must name, in any case; its names are
            taken as they are where None.

    Raises:
        InputError: a file is wrong, or names a layer that the network does not have.

    """
    found = {}
    if precision is not None:
        from workloads.precision import load_precisions

        found = load_precisions(precision, network)
    return Pricing(
        table=load_energy_table(table),
        bits={name: _bits_given(given) for name, given in found.items()},
        pruned={name: given.pruned for name, given in found.items()},
    )


def _bits_given(precision: Precision) -> dict[str, int]:
    """Return the widths by data type that differ from those of the chip's words."""
    from workloads.precision import FULL_BITS

    activations = precision.activation_bits
    widths: dict[str, int] = dict.fromkeys(OPERANDS, activations)
    widths[DataType.FILTER] = precision.weight_bits
    return {kind: bits for kind, bits in widths.items() if bits != FULL_BITS}


def _layer_data(plan: Plan, values: Values) -> LayerData:
    from sim.engine.values import LayerData, random_words, word_shapes

    of_ifmap, of_filters = word_shapes(plan)
    ifmap, filters = values.ifmap, values.filters
    if ifmap is not None and ifmap.shape in (
        (*of_ifmap[:2], reading.H, reading.W) for reading in plan.layer.readings
    ):
        ifmap = ifmap.reshape(of_ifmap)
    if ifmap is None or filters is None:
        drawn = random_words(plan, values.seed)
        ifmap = drawn[0] if ifmap is None else ifmap
        filters = drawn[1] if filters is None else filters
    widths = plan.hw.word_bits
    return LayerData(
        plan,
        _given("--ifmap", ifmap, of_ifmap, widths.range_of("ifmap")),
        _given("--filter", filters, of_filters, widths.range_of("filter")),
    )


def _given(
    name: str, words: NDArray[np.int64], shape: tuple[int, ...], of_words: tuple[int, int]
) -> NDArray[np.int64]:
    """Check an array that the user gave: shape, whole numbers, none beyond the chip's words."""
    low, high = of_words
    if words.shape != shape:
        fault = f"has shape {words.shape}, the layer needs {shape}"
    elif words.dtype.kind not in "iu":
        fault = f"has elements of type {words.dtype}, whole numbers are needed"
    elif words.size and not low <= int(words.min()) <= int(words.max()) <= high:
        fault = f"holds {words.min()} to {words.max()}, a word is {low} to {high}"
    else:
        return words
    raise InputError(Fault("", None, name, fault))


def _compare_values(plan: Plan, data: LayerData, values: Values, gated: int) -> ValuesCheck:
    from sim.check.convolution import convolve, zero_products

    expected = convolve(plan.layer, data.ifmap, data.filters, plan.hw.arithmetic.psum_bits)
    return ValuesCheck(
        ofmap=data.psums,
        wrong=int((expected != data.psums).sum()),
        seed=values.drawn_from,
        gated_off=gated - zero_products(plan.layer, data.ifmap),
    )


def resolve(
    network: Network | str, layers: Sequence[str], batch: int | None, hw: Hardware | str
) -> tuple[Network, int, Hardware]:
    """Load what is named and select the layers; the batch defaults to the network's."""
    if isinstance(network, str):
        network = load_network(network)
    if isinstance(hw, str):
        hw = load_hardware(hw)
    if layers:
        network = network.only(layers)
    return network, network.batch if batch is None else batch, hw
