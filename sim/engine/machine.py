"""One processing pass on the whole machine: wires the blocks from a program, runs and checks them.

docs/machine.md sections 3 and 4. Time starts at 0 with the pass, which ends when the last psum has
left through the GON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from math import gcd
from typing import TYPE_CHECKING

import numpy as np
import simpy

from hw_models.vocabulary import CAUSES, Cause
from sim.engine.dram import DramLink, Prefetch, PrefetchState
from sim.engine.fifo import Fifo, room_table
from sim.engine.glb import ReadPort, WritePort
from sim.engine.noc import FeedBus, LoadBus, LocalLink, PsumInBus, PsumOutBus
from sim.engine.pe import PE, FeedPort, PELoad
from sim.engine.profile import PassProfile, pass_profile
from sim.engine.queues import QueueUse, queue_use
from sim.errors import DeadlockError, SimulationError
from sim.plan.limits import ARRIVAL_BYTES, OUTCOME_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.dataflow.program import PEProgram, Program, Stream, StreamWords


MOST_WAITS = 6  # of each kind of block, in the report of a deadlock


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """What a pass did; everything that later passes and the ledger need of it.

    `counts` are words or actions by dotted name; `bus_cycles` the cycles in which each bus sends,
    by network; `queues` the use of each kind of FIFO; `multicast` ifmap words by PEs reached;
    `macs` (rows, columns) products of each PE; `stalls` (causes, rows, columns) cycles by `CAUSES`;
    `psums` the partial sums that left, in their order, where real words moved; `profile` is there
    where they did not.
    """

    cycles: int
    prefetch: Prefetch
    counts: dict[str, int]
    bus_cycles: dict[str, int]
    queues: dict[str, QueueUse]
    multicast: dict[int, int]
    macs: NDArray[np.int64]
    stalls: NDArray[np.int64]
    events: int
    psums: NDArray[np.int64] | None = None
    gated_macs: int = 0
    profile: PassProfile | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes while it is kept, from above."""
        return (
            OUTCOME_BYTES
            + self.macs.nbytes
            + self.stalls.nbytes
            + ARRIVAL_BYTES * len(self.prefetch.next_ticks)
            + (self.psums.nbytes if self.psums is not None else 0)
        )


class Machine:
    """The array, its networks, the GLB ports and the DRAM link, wired for one pass.

    The program says who gets which words in which order and what PEs do with them, the hardware
    how wide, deep and fast everything is. With `words` real words move. Life: construct, `run()`
    once, then read.
    """

    def __init__(
        self,
        program: Program,
        hw: Hardware,
        start: PrefetchState,
        words: StreamWords | None = None,
        environment: Callable[[], simpy.Environment] = simpy.Environment,
    ) -> None:
        self.program = program
        self.hw = hw
        self.words = words
        self.env = environment()
        self.feed_line_words = hw.glb_line_words("ifmap")
        self.load_line_words = hw.glb_line_words("filter")
        # Filters are in the GLB by the beat of the link and leave it by the line of the port.
        self.load_entry_words = gcd(self.load_line_words, hw.link_beat_words)
        self.pes: list[PE] = []
        self.links: list[LocalLink] = []
        self.fifos: list[Fifo] = []
        self.loads = [PELoad(self.env, load, hw.pe) for load in program.loads]
        self._rooms: dict[tuple[tuple[int, ...], int, int], list[int]] = {}
        self._build_pes()
        self._build_links()
        self._build_buses(start)

    # ---------------------------------------------------------------- wiring

    def _psum_fifo(self, name: str, program: PEProgram, depth: int) -> Fifo:
        fifo = Fifo(self.env, name, self._room(program, depth))
        self.fifos.append(fifo)
        return fifo

    def _room(self, program: PEProgram, depth: int) -> list[int]:
        """Return the room table of a psum FIFO of a PE; equal ones are shared."""
        key = program.beats, program.burst_count, depth
        room = self._rooms.get(key)
        if room is None:
            room = self._rooms[key] = room_table(*key)
        return room

    def _line_fifo(self, name: str, lines: int, line_entries: int = 1) -> Fifo:
        depth = self.hw.noc.bus_fifo_entries * line_entries
        fifo = Fifo(self.env, name, room_table([1], lines, depth))
        self.fifos.append(fifo)
        return fifo

    def _build_pes(self) -> None:
        program, pe_hw, env = self.program, self.hw.pe, self.env
        shift = pe_hw.ifmap_spad == "shift"
        continues = {above for _, above in program.links}
        if program.psums_in is not None:
            continues.update(pe for beat in program.psums_in.pattern for pe in beat.pes)
        loads = {pe: load for load in self.loads for pe in load.program.pes}
        for number, part in enumerate(program.pes):
            name = f"PE ({part.row}, {part.column})"
            psum_in: Fifo | None = None
            if number in continues:
                psum_in = self._psum_fifo(f"{name} psum in", part, pe_hw.psum_in_fifo_words)
            pe = PE(
                env,
                part,
                load=loads[number],
                port=FeedPort(env, name, part.operands if shift else pe_hw.ifmap_spad_words),
                psum_in=psum_in,
                psum_out=self._psum_fifo(f"{name} psum out", part, pe_hw.psum_out_fifo_words),
                rules=pe_hw,
                psum_bits=self.hw.arithmetic.psum_bits,
                values=self.words is not None,
            )
            self.pes.append(pe)

    def _build_links(self) -> None:
        for below, above in self.program.links:
            part, psum_in = self.program.pes[above], self.pes[above].psum_in
            assert psum_in is not None  # whatever a link leads to continues
            beats = len(part.beats) * part.burst_count
            hop = self.hw.noc.local_hop_cycles
            self.links.append(LocalLink(self.pes[below].psum_out, psum_in, beats, hop))

    def _build_buses(self, start: PrefetchState) -> None:
        program, hw, env = self.program, self.hw, self.env
        entry_words = self.load_entry_words
        line_entries = self.load_line_words // entry_words
        load_words = program.load_stream.words
        self._load_entries = -(-load_words // entry_words)
        self.load_buffer = Fifo(env, "filter banks", ())
        self.fifos.append(self.load_buffer)
        self.dram = DramLink(
            env,
            self.load_buffer,
            beat=hw.link_beat_cycles,
            latency_cycles=hw.dram.first_access_latency_cycles,
            start=start,
            words=load_words,
            beat_words=hw.link_beat_words,
            entry_words=entry_words,
            bank_words=hw.filter_bank_words,
        )
        lines = self._line_fifo("filter lines", self._load_entries, line_entries)
        data = self._lines(self.words.loads, entry_words) if self.words is not None else []
        self.load_port = ReadPort(lines, self.load_buffer, data, line_entries)
        streamed = hw.glb.filter_load != "exposed"
        turns = [self.loads[number] for number in program.beat_loads]
        self.load_bus = LoadBus(env, turns, lines, entry_words, streamed)

        self._feed_lines = -(-program.feed.words // self.feed_line_words)
        lines = self._line_fifo("ifmap lines", self._feed_lines)
        data = self._lines(self.words.feed, self.feed_line_words) if self.words is not None else []
        self.feed_port = ReadPort(lines, None, data)
        self.feed_bus = FeedBus(
            env,
            # This bus sends word by word.
            [
                [self.pes[pe].port for pe in beat.pes]
                for beat in program.feed.pattern
                for _ in range(beat.words)
            ],
            program.feed.times,
            lines,
            line_words=self.feed_line_words,
            words_per_cycle=hw.noc.gin_ifmap_words_per_cycle,
            fifo_words=hw.pe.ifmap_fifo_words,
        )

        self.psum_lines = program.psums_out.beats
        lines = self._line_fifo("psum lines out", self.psum_lines)
        turns_out = self._psum_turns(program.psums_out, [pe.psum_out for pe in self.pes])
        self.psum_out_bus = PsumOutBus(env, turns_out, program.psums_out.times, lines)
        self.write_port = WritePort(lines)
        self.psum_port: ReadPort | None = None
        self.psum_in_bus: PsumInBus | None = None
        if program.psums_in is not None:
            stream = program.psums_in
            lines = self._line_fifo("psum lines in", stream.beats)
            self.psum_port = ReadPort(lines, None, self._psum_data(stream))
            turns_in = self._psum_turns(stream, [pe.psum_in for pe in self.pes])
            self.psum_in_bus = PsumInBus(env, turns_in, stream.times, lines)

    @staticmethod
    def _psum_turns(stream: Stream, fifos: Sequence[Fifo | None]) -> list[tuple[Fifo, int, int]]:
        """Return for each beat of the pattern the PE's FIFO, its place in the PE's beats, those."""
        beats = Counter(pe for (_, (pe,)) in stream.pattern)
        places: Counter[int] = Counter()
        turns = []
        for _, (pe,) in stream.pattern:
            fifo = fifos[pe]
            assert fifo is not None  # whatever psums are brought to continues
            turns.append((fifo, places[pe], beats[pe]))
            places[pe] += 1
        return turns

    # ---------------------------------------------------------------- values

    @staticmethod
    def _lines(words: NDArray[np.int64], step: int) -> list[list[int]]:
        flat = words.tolist()
        return [flat[place : place + step] for place in range(0, len(flat), step)]

    def _psum_data(self, stream: Stream) -> list[list[int]]:
        """Return the words of each beat of partial sums."""
        if self.words is None or self.words.psums_in is None:
            return []
        words = iter(self.words.psums_in.tolist())
        sizes = [beat.words for beat in stream.pattern] * stream.times
        return [list(islice(words, size)) for size in sizes]

    def psums(self) -> NDArray[np.int64] | None:
        """Return the partial sums that left through the GON, in order; None without real words."""
        if self.words is None:
            return None
        return np.fromiter(chain.from_iterable(self.psum_out_bus.lines.data), np.int64)

    # ---------------------------------------------------------------- running

    def run(self) -> PassOutcome:
        """Run the pass to its end.

        Raises:
            DeadlockError: a process still waits when nothing can happen any more, or runs on
                when the pass must long be over.
            SimulationError: a conservation law does not hold.

        """
        env = self.env
        # The link first: what it has brought before the pass is there when the port looks for it.
        dram = env.process(self.dram.run())
        load_port = env.process(self.load_port.run(self._load_entries))
        behind = load_port if self.hw.glb.filter_load == "first" else None
        started = [
            dram,
            load_port,
            env.process(self.load_bus.run()),
            env.process(self.feed_port.run(self._feed_lines, behind)),
            env.process(self.feed_bus.run()),
            env.process(self.psum_out_bus.run()),
            env.process(self.write_port.run(self.psum_lines)),
            *(env.process(link.run()) for link in self.links),
            *(env.process(pe.run()) for pe in self.pes),
        ]
        if self.psum_port is not None and self.psum_in_bus is not None:
            started.append(env.process(self.psum_port.run(len(self.psum_port.lines.room))))
            started.append(env.process(self.psum_in_bus.run()))
        longest = self._longest()
        env.run(until=longest)
        left = [process for process in started if process.is_alive]
        if left:
            endless = any(isinstance(process.target, simpy.events.Timeout) for process in left)
            raise DeadlockError(self._deadlock(longest if endless else None))
        cycles = self.psum_out_bus.log[-1] + 1
        self._conserve()
        return self._outcome(cycles)

    def _longest(self) -> int:
        """Return far more cycles than the pass can take: twice all that it does, one by one.

        Registers and ports add a few cycles to a beat, hence the factor.
        """
        hw, dram, program, pe_hw = self.hw, self.dram, self.program, self.hw.pe
        link = (dram.beats + dram.ahead_beats) * dram.beat_ticks // dram.ticks_per_cycle
        words = program.load_stream.words + program.feed.words
        bursts = sum(
            (pe.mac_cycles + pe.bubble_cycles + pe.program.operands) * pe.program.burst_count
            for pe in self.pes
        )
        hop = hw.noc.local_hop_cycles + pe_hw.psum_latency_cycles
        hops = (sum(link.beats for link in self.links) + len(self.pes)) * hop
        psums = sum(pe.sums for pe in program.pes)
        rounds = sum(pe.program.times for pe in self.pes)
        waits = pe_hw.start_cycles + rounds * pe_hw.image_change_cycles
        work = words + bursts + hops + psums + waits + 3 * self.psum_lines
        return 4 * (link + hw.dram.first_access_latency_cycles + work) + 1000

    def _deadlock(self, endless: int | None) -> str:
        """Name who waits for whom; `endless` cycles have gone by where some process still runs."""
        psums = [fifo for pe in self.pes for fifo in (pe.psum_in, pe.psum_out) if fifo is not None]
        buses = self.fifos[len(psums) :]  # they are built after the PEs
        # All PEs may wait for much the same: some of each kind tell more than all of one.
        reasons: list[str] = []
        for blocks in (psums, [pe.port for pe in self.pes], self.loads, buses):
            waits = [wait for wait in (block.waiting for block in blocks) if wait]
            reasons += waits[:MOST_WAITS]
            if len(waits) > MOST_WAITS:
                reasons.append(f"and {len(waits) - MOST_WAITS} more like these")
        if endless is not None:
            reasons = reasons or ["nobody waits for anybody"]
            return f"no end of the pass after {endless} cycles: " + "; ".join(reasons)
        logs = [self.feed_bus.log, self.psum_out_bus.log, *(link.log for link in self.links)]
        logs += [load.log for load in self.loads]
        logs += [self.psum_in_bus.log] if self.psum_in_bus else []
        last = [log[-1] for log in logs if log]
        last += [pe.starts[-1] + pe.mac_cycles for pe in self.pes if pe.starts]
        return f"deadlock at cycle {max(last, default=0)} of the pass: " + "; ".join(reasons)

    # ---------------------------------------------------------------- laws

    def _conserve(self) -> None:
        """Hold what the machine did against the program: at the end of every simulated pass."""
        program, pe_hw = self.program, self.hw.pe
        for fifo in self.fifos:
            self._law(len(fifo.ready) == len(fifo.freed), f"{fifo.name}: entries left at the end")
        for pe, fed in zip(self.pes, program.fed, strict=True):
            port, part = pe.port, pe.program
            self._law(not port.pending, f"{port.name}: words left in the ifmap FIFO")
            self._law(
                len(port.entered) == port.sent == port.released,
                f"{port.name}: {port.sent} ifmap words sent, {len(port.entered)} entered the "
                f"spad, {port.released} left it",
            )
            self._law(port.sent == fed, f"{port.name}: {port.sent} ifmap words, {fed} to come")
            self._law(pe.bursts_done == part.burst_count, f"{port.name}: bursts not computed")
            beats = part.burst_count * len(part.beats)
            self._law(len(pe.takes) == beats, f"{port.name}: {len(pe.takes)} of {beats} psum beats")
            self._law(
                pe.load.program.words <= pe_hw.filter_spad_words,
                f"{port.name}: filter spad overflows",
            )
            self._spad_keeps_its_size(pe)
        macs = sum(pe.bursts_done * pe.mac_cycles for pe in self.pes)
        self._law(macs == program.products, f"{macs} MACs done, {program.products} in the pass")
        self._networks_sent_their_streams()

    def _networks_sent_their_streams(self) -> None:
        """Check that each network moved what the program sends over it, to as many PEs."""
        program, loads = self.program, self.load_bus
        delivered = sum(pe.port.sent for pe in self.pes)
        reached = program.feed.deliveries
        self._law(delivered == reached, f"{reached} ifmap deliveries, {delivered} received")
        self._law(len(self.feed_bus.log) == program.feed.words, "ifmap words not sent")
        self._law(loads.sent_words == program.load_stream.words, "filter words not sent")
        reached = program.load_stream.deliveries
        self._law(
            loads.deliveries == reached,
            f"{reached} filter deliveries, {loads.deliveries} received",
        )
        for name, bus, stream in (
            ("GON", self.psum_out_bus, program.psums_out),
            ("psum bus", self.psum_in_bus, program.psums_in),
        ):
            sent = 0 if bus is None else len(bus.log)
            beats = 0 if stream is None else stream.beats
            self._law(sent == beats, f"{name}: {sent} of {beats} beats sent")
        for link in self.links:
            self._law(
                len(link.log) == link.beats,
                f"link to {link.above.name}: {len(link.log)} of {link.beats} beats sent",
            )

    def _spad_keeps_its_size(self, pe: PE) -> None:
        entered, places = pe.port.entered, pe.port.places
        self._law(
            all(place <= cycle for place, cycle in zip(places, entered, strict=False)),
            f"{pe.port.name}: ifmap spad overflows",
        )

    def _queues(self) -> dict[str, QueueUse]:
        """Return the use of each kind of FIFO, and check that none held more than its depth."""
        pe = self.hw.pe
        queues = queue_use(
            self.program,
            self.hw,
            pes=self.pes,
            links=self.links,
            load_port=self.load_port,
            feed_port=self.feed_port,
            feed_bus=self.feed_bus,
            psum_port=self.psum_port,
            psum_in_bus=self.psum_in_bus,
            psum_out_bus=self.psum_out_bus,
        )
        for name, depth in (
            ("ifmap_fifo", pe.ifmap_fifo_words),
            ("psum_in_fifo", pe.psum_in_fifo_words),
            ("psum_out_fifo", pe.psum_out_fifo_words),
        ):
            peak = queues[name].peak
            self._law(peak <= depth, f"{name}: {peak} words in one that holds {depth}")
        return queues

    @staticmethod
    def _law(holds: bool, message: str) -> None:
        if not holds:
            raise SimulationError(f"conservation: {message}; a defect of the simulator")

    # ---------------------------------------------------------------- counting

    def _bus_cycles(self) -> dict[str, int]:
        """Return the cycles in which each bus sends, by network."""
        program = self.program
        cycles: dict[str, int] = {
            program.load_stream.network: sum(len(load.log) for load in self.loads),
            program.feed.network: len(set(self.feed_bus.log)),  # several words may share a cycle
            program.psums_out.network: len(self.psum_out_bus.log),
        }
        if program.psums_in is not None and self.psum_in_bus is not None:
            cycles[program.psums_in.network] = len(self.psum_in_bus.log)
        return cycles

    def _outcome(self, cycles: int) -> PassOutcome:
        array, program = self.hw.array, self.program
        macs = np.zeros((array.rows, array.columns), np.int64)
        stalls = np.zeros((len(CAUSES), array.rows, array.columns), np.int64)
        stalls[CAUSES.index(Cause.CLOCK_GATED)] = cycles
        for pe in self.pes:
            part = pe.program
            at = part.row, part.column
            macs[at] = part.products
            causes = (
                part.products + part.burst_count * pe.bubble_cycles,
                part.sums,
                pe.wait_load,
                pe.wait_feed,
                pe.wait_psum_in,
                pe.wait_psum_out,
                cycles - pe.busy_until,
                0,
            )
            self._law(
                sum(causes) == cycles and causes[6] >= 0,
                f"{pe.port.name}: its cycles do not add up to those of the pass",
            )
            stalls[(slice(None), *at)] = causes
        events = (
            sum(len(pe.starts) + len(pe.takes) for pe in self.pes)
            + sum(len(link.log) for link in self.links)
            + len(self.feed_bus.log)
            + sum(len(load.log) for load in self.loads)
            + len(self.psum_out_bus.log)
            + (len(self.psum_in_bus.log) if self.psum_in_bus else 0)
        )
        return PassOutcome(
            cycles=cycles,
            prefetch=self.dram.prefetch,
            counts=program.counts(),
            bus_cycles=self._bus_cycles(),
            queues=self._queues(),
            multicast=program.feed.multicast(),
            macs=macs,
            stalls=stalls,
            events=events,
            psums=self.psums(),
            gated_macs=sum(pe.gated_macs for pe in self.pes),
            profile=self._profile(cycles) if self.words is None else None,
        )

    def _profile(self, cycles: int) -> PassProfile:
        return pass_profile(
            cycles,
            pes=self.pes,
            loads=self.loads,
            feed=self.feed_bus.log,
            feed_words_per_cycle=self.hw.noc.gin_ifmap_words_per_cycle,
            psums_in=self.psum_in_bus.log if self.psum_in_bus else (),
            psums_out=self.psum_out_bus.log,
        )
