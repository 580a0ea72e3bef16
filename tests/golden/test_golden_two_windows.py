"""The whole story of a tiny layer, cycle by cycle, worked out by hand from docs/machine.md.

Two passes (two channel blocks) of a 2x2 PE set over two windows: filter 2x1, ifmap 3x2, ofmap 2x2,
one filter. PE (i, j) holds filter row i and computes ofmap row j, so it sees ifmap row i+j. A word
written in cycle c is read in c+1 at the earliest, and so with a place that becomes free.
"""

from hw_models.load import load_hardware
from sim.dataflow.row_stationary.mapping import Mapping
from sim.engine.dram import PrefetchState
from sim.engine.layer_run import simulate_layer
from sim.engine.machine import Machine
from sim.engine.passes import pass_machine
from sim.plan.make import make_plan
from workloads.layer import Layer

CHIP = load_hardware("eyeriss_v1")
LAYER = Layer(name="tiny", M=1, C=2, H=3, W=2, R=2, S=1)
PLAN = make_plan(LAYER, 1, CHIP, Mapping(m=1, n=1, e=2, p=1, q=1, r=1, t=1))


def told(machine: Machine) -> list[str]:
    """What happened in the pass, a line for each event: the cycle, then what."""
    events: list[tuple[int, str]] = []
    for load in machine.loads:
        row = machine.program.pes[load.program.pes[0]].row
        # The log holds the cycle from which a beat can be read: one after the bus sent it.
        events += [(cycle - 1, f"filter bus: to row {row}") for cycle in load.log]
    rows = len(machine.feed_bus.column)  # one channel
    for word, cycle in enumerate(machine.feed_bus.log):
        events.append((cycle, f"ifmap bus: column {word // rows}, row {word % rows}"))
    chains = len(machine.psum_out_bus.turns)
    for name, bus in (("psum bus", machine.psum_in_bus), ("GON", machine.psum_out_bus)):
        for beat, cycle in enumerate(bus.log if bus else []):
            events.append((cycle, f"{name}: window {beat // chains}, chain {beat % chains}"))
    for pe in machine.pes:
        name = f"PE ({pe.program.row}, {pe.program.column})"
        for window, cycle in enumerate(pe.starts):
            events.append((cycle, f"{name}: window {window} starts"))
        for window, cycle in enumerate(pe.takes):
            events.append((cycle, f"{name}: psum of window {window}"))
    for column, link in enumerate(machine.links):
        for window, cycle in enumerate(link.log):
            events.append((cycle, f"link of column {column}: window {window}"))
    return [f"{cycle:2} {what}" for cycle, what in sorted(events)]


FIRST_PASS = [
    # Nothing is prefetched. The one line of filters is in the GLB after 10/3 cycles, that is in 4;
    # the port reads it in 4, the bus sends a row's word in 5, the other's in 6: both are there in
    # 7, and until then no PE computes. The ifmap port reads its lines in 0 and 1; the bus sends
    # column by column from 1 on. A word sent in c enters the spad in c+1 and is read from c+2 on:
    # long there when the filters come.
    " 1 ifmap bus: column 0, row 0",
    " 2 ifmap bus: column 0, row 1",
    " 3 ifmap bus: column 0, row 2",
    " 4 ifmap bus: column 1, row 0",
    " 5 filter bus: to row 0",
    " 5 ifmap bus: column 1, row 1",
    " 6 filter bus: to row 1",
    " 6 ifmap bus: column 1, row 2",
    # All four PEs start: 1 MAC, then 3-p = 2 cycles of pipeline, so psums are taken in 10.
    " 7 PE (0, 0): window 0 starts",
    " 7 PE (0, 1): window 0 starts",
    " 7 PE (1, 0): window 0 starts",
    " 7 PE (1, 1): window 0 starts",
    # The first channel block: the lower PEs need no psum from below. It is done with in 11, goes
    # up the link in 11 and is read above in 12.
    "10 PE (1, 0): psum of window 0",
    "10 PE (1, 1): psum of window 0",
    "11 PE (1, 0): window 1 starts",
    "11 PE (1, 1): window 1 starts",
    "11 link of column 0: window 0",
    "11 link of column 1: window 0",
    "12 PE (0, 0): psum of window 0",
    "12 PE (0, 1): psum of window 0",
    # The GON carries one beat a cycle, by chain.
    "13 GON: window 0, chain 0",
    "13 PE (0, 0): window 1 starts",
    "13 PE (0, 1): window 1 starts",
    "14 GON: window 0, chain 1",
    # Lower window 1: started in 11, psum in 11+1+2. Upper: 13+1+2, when the psum is long there.
    "14 PE (1, 0): psum of window 1",
    "14 PE (1, 1): psum of window 1",
    "15 link of column 0: window 1",
    "15 link of column 1: window 1",
    "16 PE (0, 0): psum of window 1",
    "16 PE (0, 1): psum of window 1",
    "17 GON: window 1, chain 0",
    "18 GON: window 1, chain 1",
]

SECOND_PASS = [
    # The filters came while the first pass ran (at 20/3): port 0, bus 1 and 2, all there in 3.
    # Psums come from the GLB now: port 0 and 1, then as the two places before the bus are free.
    " 1 filter bus: to row 0",
    " 1 ifmap bus: column 0, row 0",
    " 1 psum bus: window 0, chain 0",
    " 2 filter bus: to row 1",
    " 2 ifmap bus: column 0, row 1",
    " 2 psum bus: window 0, chain 1",
    # (0, 0) has its word from 3 on, (0, 1) and (1, 0) theirs from 4 on, (1, 1) from 5 on.
    " 3 PE (0, 0): window 0 starts",
    " 3 ifmap bus: column 0, row 2",
    " 3 psum bus: window 1, chain 0",
    " 4 PE (0, 1): window 0 starts",
    " 4 PE (1, 0): window 0 starts",
    " 4 ifmap bus: column 1, row 0",
    " 4 psum bus: window 1, chain 1",
    " 5 PE (1, 1): window 0 starts",
    " 5 ifmap bus: column 1, row 1",
    " 6 ifmap bus: column 1, row 2",
    # (1, 0): 4+1+2 = 7, link 8, above in 9, where (0, 0) has waited since 6. (1, 1) one later.
    " 7 PE (1, 0): psum of window 0",
    " 8 PE (1, 0): window 1 starts",
    " 8 PE (1, 1): psum of window 0",
    " 8 link of column 0: window 0",
    " 9 PE (0, 0): psum of window 0",
    " 9 PE (1, 1): window 1 starts",
    " 9 link of column 1: window 0",
    "10 GON: window 0, chain 0",
    "10 PE (0, 0): window 1 starts",
    "10 PE (0, 1): psum of window 0",
    "11 GON: window 0, chain 1",
    "11 PE (0, 1): window 1 starts",
    "11 PE (1, 0): psum of window 1",
    "12 PE (1, 1): psum of window 1",
    "12 link of column 0: window 1",
    "13 PE (0, 0): psum of window 1",
    "13 link of column 1: window 1",
    "14 GON: window 1, chain 0",
    "14 PE (0, 1): psum of window 1",
    "15 GON: window 1, chain 1",
]


def test_the_first_pass() -> None:
    first, _ = PLAN
    machine = pass_machine(first.shape, CHIP, PrefetchState())
    outcome = machine.run()
    assert told(machine) == FIRST_PASS
    assert outcome.cycles == 19


def test_the_second_pass() -> None:
    first, second = PLAN
    before = pass_machine(first.shape, CHIP, PrefetchState()).run()
    start = before.prefetch.state(before.cycles, 1)
    assert start == PrefetchState(1, 0)
    machine = pass_machine(second.shape, CHIP, start)
    outcome = machine.run()
    assert told(machine) == SECOND_PASS
    assert outcome.cycles == 16


def test_the_layer() -> None:
    activity = simulate_layer(PLAN)
    assert activity.pass_cycles.tolist() == [19, 16]
    # Each PE: 2 passes x 2 windows x (1 MAC + 2 of pipeline) and a psum each; it waits for filters
    # 7 + 3 cycles. For ifmap: (1, 0), (0, 1) and (1, 1) in the second pass, 1, 1 and 2 cycles.
    # For psums: above, 10 to 12 in the first pass, 6 to 9 and 7 to 10 in the second.
    spent = {
        cause: activity.stalls[place, :2, :2].tolist()
        for place, cause in enumerate(activity.causes)
    }
    assert spent == {
        "computing": [[12, 12], [12, 12]],
        "accumulating": [[4, 4], [4, 4]],
        "waiting_filter": [[10, 10], [10, 10]],
        "waiting_ifmap": [[0, 1], [1, 2]],
        "waiting_psum_in": [[5, 5], [0, 0]],
        "waiting_psum_out": [[0, 0], [0, 0]],
        # To the end of 19 and 16: above since 17 (both), then 14 and 15; below since 15, then 12
        # and 13.
        "idle": [[4, 3], [8, 7]],
        "clock_gated": [[0, 0], [0, 0]],
    }
    assert activity.stalls[7, 2:].tolist() == [[35] * 14] * 10
