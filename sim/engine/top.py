"""One processing pass on the whole machine: builds the blocks, runs them, checks them, counts.

docs/machine.md sections 3 and 4. Time starts at 0 with the pass, which ends when the last psum has
left through the GON.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from operator import lt
from typing import TYPE_CHECKING

import numpy as np
import simpy

from sim.engine.dram import DramLink, Prefetch, PrefetchState
from sim.engine.fifo import Fifo, beat_sizes, room_table
from sim.engine.glb import ReadPort, WritePort
from sim.engine.noc import FilterGin, Gon, IfmapGin, LocalLink, PsumGin
from sim.engine.pe import PE, FilterRow, IfmapPort
from sim.engine.profile import PassProfile, pass_profile
from sim.errors import DeadlockError, SimulationError
from sim.plan.limits import ARRIVAL_BYTES, OUTCOME_BYTES
from traces.events import CAUSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.plan.placement import Site
    from sim.plan.schedule import PassShape


MOST_WAITS = 6  # of each kind of block, in the report of a deadlock


@dataclass(frozen=True, slots=True)
class PassData:
    """Real words for a pass, for runs that carry values.

    `ifmap` is (images, channels, touched rows, touched columns), `filters` (filters, channels, R,
    S), `psums` (images, filters, strip rows, ofmap columns) or None in the first channel block.
    """

    ifmap: NDArray[np.int64]
    filters: NDArray[np.int64]
    psums: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """What a pass did; everything that later passes and the ledger need of it.

    `counts` are words or actions by dotted name; `multicast` ifmap words by PEs reached; `macs`
    (rows, columns) products of each PE; `stalls` (causes, rows, columns) cycles by `CAUSES`.
    `profile` is there unless real words moved.
    """

    cycles: int
    prefetch: Prefetch
    counts: dict[str, int]
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

    Life: construct, `run()` once, then read.
    """

    def __init__(
        self,
        shape: PassShape,
        hw: Hardware,
        start: PrefetchState,
        data: PassData | None = None,
        environment: Callable[[], simpy.Environment] = simpy.Environment,
    ) -> None:
        self.shape = shape
        self.hw = hw
        self.data = data
        self.env = environment()
        self.ifmap_line_words = hw.glb_line_words("ifmap")
        self.filter_line_words = hw.glb_line_words("filter")
        # Filters are in the GLB by the beat of the link and leave it by the line of the port.
        self.filter_entry_words = gcd(self.filter_line_words, hw.link_beat_words)
        self.pes: list[PE] = []
        self.links: list[LocalLink] = []
        self.fifos: list[Fifo] = []
        self.filter_rows: dict[tuple[int, int, int], FilterRow] = {}
        self.chains: list[tuple[int, int, list[PE]]] = []
        self._sizes = [
            beat_sizes(filters, hw.noc.psum_words_per_cycle) for filters in shape.filters
        ]
        self._rooms: dict[tuple[int, int], list[int]] = {}
        self._build_chains()
        self._build_buses(start)

    # ---------------------------------------------------------------- wiring

    def _psum_fifo(self, name: str, filter_set: int, depth: int) -> Fifo:
        room = self._room(self.shape.filters[filter_set], depth)
        fifo = Fifo(self.env, name, room)
        self.fifos.append(fifo)
        return fifo

    def _room(self, filters: int, depth: int) -> list[int]:
        """The room table of a psum FIFO; equal ones are shared."""
        room = self._rooms.get((filters, depth))
        if room is None:
            sizes = beat_sizes(filters, self.hw.noc.psum_words_per_cycle)
            room = self._rooms[filters, depth] = room_table(sizes, self.shape.windows, depth)
        return room

    def _line_fifo(self, name: str, lines: int, line_entries: int = 1) -> Fifo:
        depth = self.hw.noc.bus_fifo_entries * line_entries
        fifo = Fifo(self.env, name, room_table([1], lines, depth))
        self.fifos.append(fifo)
        return fifo

    def _build_chains(self) -> None:
        for filter_set in range(len(self.shape.filters)):
            for ofmap_row in range(self.shape.strip_rows):
                sites = self.shape.placement.chain(filter_set, ofmap_row, len(self.shape.channels))
                self.chains.append((filter_set, ofmap_row, self._build_chain(filter_set, sites)))

    def _build_chain(self, filter_set: int, sites: Sequence[Site]) -> list[PE]:
        shape, pe_hw, env = self.shape, self.hw.pe, self.env
        sizes = self._sizes[filter_set]
        beats = len(sizes) * shape.windows
        shift = pe_hw.ifmap_spad == "shift"
        chain: list[PE] = []
        for site in sites:
            name = f"PE ({site.row}, {site.column})"
            row = self._filter_row(filter_set, site)
            psum_in: Fifo | None = None
            if chain or not shape.first_channels:
                psum_in = self._psum_fifo(f"{name} psum in", filter_set, pe_hw.psum_in_fifo_words)
            psum_out = self._psum_fifo(f"{name} psum out", filter_set, pe_hw.psum_out_fifo_words)
            if chain and psum_in is not None:
                below = chain[-1].psum_out
                self.links.append(LocalLink(below, psum_in, beats, self.hw.noc.local_hop_cycles))
            pe = PE(
                env,
                site,
                filter_row=row,
                port=IfmapPort(
                    env,
                    name,
                    row.channels * row.filter_columns if shift else pe_hw.ifmap_spad_words,
                ),
                psum_in=psum_in,
                psum_out=psum_out,
                sizes=sizes,
                column_step=shape.column_step,
                image_windows=shape.ofmap_columns,
                pipeline_stages=pe_hw.pipeline_stages,
                shift_spad=shift,
                psum_bits=self.hw.arithmetic.psum_bits,
                values=self.data is not None,
            )
            chain.append(pe)
        self.pes.extend(chain)
        return chain

    def _filter_row(self, filter_set: int, site: Site) -> FilterRow:
        key = (filter_set, site.channel_set, site.filter_row)
        row = self.filter_rows.get(key)
        if row is None:
            row = self.filter_rows[key] = FilterRow(
                self.env,
                f"filter set {filter_set}, channel set {site.channel_set}, row {site.filter_row}",
                self.shape.filters[filter_set],
                self.shape.channels[site.channel_set],
                self.shape.filter_columns,
                self.hw.noc.gin_filter_words_per_cycle,
            )
            row.place = (site.row, site.column)
        row.site_count += 1
        row.x_buses.add(site.row)
        return row

    def _build_buses(self, start: PrefetchState) -> None:
        shape, hw, env = self.shape, self.hw, self.env
        entry_words = self.filter_entry_words
        line_entries = self.filter_line_words // entry_words
        filter_entries = -(-shape.filter_words // entry_words)
        self.filter_buffer = Fifo(env, "filter banks", ())
        self.fifos.append(self.filter_buffer)
        self.dram = DramLink(
            env,
            self.filter_buffer,
            beat=hw.link_beat_cycles,
            latency_cycles=hw.dram.first_access_latency_cycles,
            start=start,
            words=shape.filter_words,
            beat_words=hw.link_beat_words,
            entry_words=entry_words,
            bank_words=hw.filter_bank_words,
        )
        lines = self._line_fifo("filter lines", filter_entries, line_entries)
        self.filter_port = ReadPort(lines, self.filter_buffer, self._filter_data(), line_entries)
        self.filter_gin = FilterGin(
            env,
            sorted(self.filter_rows.values(), key=lambda row: row.place),
            lines,
            entry_words,
            hw.glb.filter_load == "streamed",
        )

        ifmap_lines = -(-shape.ifmap_words // self.ifmap_line_words)
        lines = self._line_fifo("ifmap lines", ifmap_lines)
        self.ifmap_port = ReadPort(lines, None, self._ifmap_data())
        column, x_buses = self._ifmap_column()
        self.ifmap_gin = IfmapGin(
            env,
            column,
            x_buses,
            shape.images * shape.ifmap_columns,
            lines,
            line_words=self.ifmap_line_words,
            words_per_cycle=hw.noc.gin_ifmap_words_per_cycle,
            fifo_words=hw.pe.ifmap_fifo_words,
        )

        beats = sum(len(self._sizes[filter_set]) for filter_set, _, _ in self.chains)
        self.psum_lines = beats * shape.windows
        lines = self._line_fifo("psum lines out", self.psum_lines)
        tops = [(chain[-1].psum_out, len(chain[-1].sizes)) for _, _, chain in self.chains]
        self.gon = Gon(env, tops, shape.windows, lines)
        self.write_port = WritePort(lines)
        self.psum_port: ReadPort | None = None
        self.psum_gin: PsumGin | None = None
        if not shape.first_channels:
            lines = self._line_fifo("psum lines in", self.psum_lines)
            self.psum_port = ReadPort(lines, None, self._psum_data())
            bottoms = [
                (chain[0].psum_in, len(chain[0].sizes))
                for _, _, chain in self.chains
                if chain[0].psum_in is not None
            ]
            self.psum_gin = PsumGin(env, bottoms, shape.windows, lines)
        self._filter_entries = filter_entries
        self._ifmap_lines = ifmap_lines

    def _ifmap_column(self) -> tuple[list[list[IfmapPort]], list[int]]:
        """Destinations of the words of one ifmap column, by channel and row; X-buses of each."""
        shape = self.shape
        reach: dict[tuple[int, int], list[PE]] = {}
        for _, ofmap_row, chain in self.chains:
            for pe in chain:
                row = ofmap_row * shape.row_step + pe.site.filter_row
                reach.setdefault((pe.site.channel_set, row), []).append(pe)
        column = []
        x_buses = []
        for channel_set, channels in enumerate(shape.channels):
            for _ in range(channels):
                for row in range(shape.ifmap_rows):
                    pes = reach[channel_set, row]
                    column.append([pe.port for pe in pes])
                    x_buses.append(len({pe.site.row for pe in pes}))
        return column, x_buses

    # ---------------------------------------------------------------- values

    @staticmethod
    def _lines(words: NDArray[np.int64], step: int) -> list[list[int]]:
        flat = [int(word) for word in words]
        return [flat[place : place + step] for place in range(0, len(flat), step)]

    def _filter_data(self) -> list[list[int]]:
        if self.data is None:
            return []
        shape = self.shape
        filter_base = np.concatenate([[0], np.cumsum(shape.filters)])
        channel_base = np.concatenate([[0], np.cumsum(shape.channels)])
        parts = []
        ordered = sorted(self.filter_rows.items(), key=lambda item: item[1].place)
        for (filter_set, channel_set, filter_row), row in ordered:
            f, c = int(filter_base[filter_set]), int(channel_base[channel_set])
            parts.append(
                self.data.filters[f : f + row.filters, c : c + row.channels, filter_row, :].reshape(
                    -1
                )
            )
        return self._lines(np.concatenate(parts), self.filter_entry_words)

    def _ifmap_data(self) -> list[list[int]]:
        if self.data is None:
            return []
        words = self.data.ifmap.transpose(0, 3, 1, 2).reshape(-1)
        return self._lines(words, self.ifmap_line_words)

    def _psum_order(self) -> Iterator[tuple[int, int, int, slice]]:
        """(image, column, ofmap row, filters) of every beat, in the order of the psum buses."""
        bases = np.concatenate([[0], np.cumsum(self.shape.filters)])
        for image in range(self.shape.images):
            for column in range(self.shape.ofmap_columns):
                for filter_set, ofmap_row, _ in self.chains:
                    first = int(bases[filter_set])
                    for size in self._sizes[filter_set]:
                        yield image, column, ofmap_row, slice(first, first + size)
                        first += size

    def _psum_data(self) -> list[list[int]]:
        if self.data is None or self.data.psums is None:
            return []
        psums = self.data.psums
        return [
            [int(v) for v in psums[image, filters, row, column]]
            for image, column, row, filters in self._psum_order()
        ]

    def psums(self) -> NDArray[np.int64] | None:
        """The psums that left through the GON, as (images, filters, strip rows, columns)."""
        if self.data is None:
            return None
        shape = self.shape
        result = np.zeros(
            (shape.images, sum(shape.filters), shape.strip_rows, shape.ofmap_columns), np.int64
        )
        for beat, (image, column, row, filters) in zip(
            self.gon.lines.data, self._psum_order(), strict=True
        ):
            result[image, filters, row, column] = beat
        return result

    # ---------------------------------------------------------------- running

    def run(self) -> PassOutcome:
        """Run the pass to its end.

        Raises:
            DeadlockError: a process still waits when nothing can happen any more, or runs on
                when the pass must long be over.
            SimulationError: a conservation law does not hold.

        """
        env, shape = self.env, self.shape
        started = [
            env.process(self.dram.run()),
            env.process(self.filter_port.run(self._filter_entries)),
            env.process(self.filter_gin.run()),
            env.process(self.ifmap_port.run(self._ifmap_lines)),
            env.process(self.ifmap_gin.run()),
            env.process(self.gon.run()),
            env.process(self.write_port.run(self.psum_lines)),
            *(env.process(link.run()) for link in self.links),
            *(env.process(pe.run(shape.images)) for pe in self.pes),
        ]
        if self.psum_port is not None and self.psum_gin is not None:
            started.append(env.process(self.psum_port.run(self.psum_lines)))
            started.append(env.process(self.psum_gin.run()))
        longest = self._longest()
        env.run(until=longest)
        left = [process for process in started if process.is_alive]
        if left:
            endless = any(isinstance(process.target, simpy.events.Timeout) for process in left)
            raise DeadlockError(self._deadlock(longest if endless else None))
        cycles = self.gon.log[-1] + 1
        self._conserve()
        return self._outcome(cycles)

    def _longest(self) -> int:
        """Far more cycles than the pass can take: all that it does one after the other, and again.

        Registers and ports add a few cycles to a beat, hence the factor.
        """
        hw, dram = self.hw, self.dram
        link = (dram.beats + dram.ahead_beats) * dram.beat_ticks // dram.ticks_per_cycle
        words = self.shape.filter_words + self.shape.ifmap_words
        windows = sum(pe.mac_cycles + pe.bubble_cycles + pe.window_words for pe in self.pes)
        beats = sum(link.beats for link in self.links) * hw.noc.local_hop_cycles
        psums = self.shape.psum_words * len(self.shape.channels) * self.shape.filter_rows
        work = words + windows * self.shape.windows + beats + psums + 3 * self.psum_lines
        return 4 * (link + hw.dram.first_access_latency_cycles + work) + 1000

    def _deadlock(self, endless: int | None) -> str:
        """Who waits for whom; `endless` cycles have gone by where some process still runs."""
        psums = [fifo for pe in self.pes for fifo in (pe.psum_in, pe.psum_out) if fifo is not None]
        buses = self.fifos[len(psums) :]  # they are built after the chains
        # All PEs may wait for much the same: some of each kind tell more than all of one.
        found: list[str] = []
        for blocks in (psums, [pe.port for pe in self.pes], self.filter_rows.values(), buses):
            waits = [wait for wait in (block.waiting for block in blocks) if wait]
            found += waits[:MOST_WAITS]
            if len(waits) > MOST_WAITS:
                found.append(f"and {len(waits) - MOST_WAITS} more like these")
        if endless is not None:
            found = found or ["nobody waits for anybody"]
            return f"no end of the pass after {endless} cycles: " + "; ".join(found)
        logs = [self.ifmap_gin.log, self.gon.log, *(link.log for link in self.links)]
        logs += [row.log for row in self.filter_rows.values()]
        logs += [self.psum_gin.log] if self.psum_gin else []
        last = [log[-1] for log in logs if log]
        last += [pe.starts[-1] + pe.mac_cycles for pe in self.pes if pe.starts]
        return f"deadlock at cycle {max(last, default=0)} of the pass: " + "; ".join(found)

    # ---------------------------------------------------------------- laws

    def _conserve(self) -> None:
        """What goes in comes out: checked at the end of every simulated pass."""
        shape = self.shape
        for fifo in self.fifos:
            self._law(len(fifo.ready) == len(fifo.freed), f"{fifo.name}: entries left at the end")
        for pe in self.pes:
            port = pe.port
            self._law(not port.pending, f"{port.name}: words left in the ifmap FIFO")
            self._law(
                len(port.entered) == port.sent == port.released,
                f"{port.name}: {port.sent} ifmap words sent, {len(port.entered)} entered the "
                f"spad, {port.released} left it",
            )
            self._law(pe.windows_done == shape.windows, f"{port.name}: windows not computed")
            self._law(
                pe.filter_row.words <= self.hw.pe.filter_spad_words,
                f"{port.name}: filter spad overflows",
            )
            self._spad_keeps_its_size(pe)
            filters = pe.filter_row.filters
            self._fifo_keeps_its_depth(pe.psum_out, filters, self.hw.pe.psum_out_fifo_words)
            if pe.psum_in is not None:
                self._fifo_keeps_its_depth(pe.psum_in, filters, self.hw.pe.psum_in_fifo_words)
        macs = sum(pe.windows_done * pe.mac_cycles for pe in self.pes)
        self._law(macs == shape.macs, f"{macs} MACs done, {shape.macs} in the pass")
        delivered = sum(pe.port.sent for pe in self.pes)
        reached = sum(fan * words for fan, words in self.ifmap_gin.multicast().items())
        self._law(delivered == reached, f"{reached} ifmap deliveries, {delivered} received")
        self._law(
            self.ifmap_gin.sent_words == shape.ifmap_words, "ifmap words of the strip not sent"
        )
        self._law(self.filter_gin.sent_words == shape.filter_words, "filter words not sent")

    def _spad_keeps_its_size(self, pe: PE) -> None:
        entered, places = pe.port.entered, pe.port.places
        self._law(
            all(place <= cycle for place, cycle in zip(places, entered, strict=False)),
            f"{pe.port.name}: ifmap spad overflows",
        )

    def _fifo_keeps_its_depth(self, fifo: Fifo, filters: int, depth: int) -> None:
        """Each beat was written after the one whose place it takes at that depth had left."""
        room = self._room(filters, depth)
        first = bisect_right(room, -1)
        left = map(fifo.freed.__getitem__, room[first:])
        self._law(all(map(lt, left, fifo.ready[first:])), f"{fifo.name}: more than {depth} words")

    @staticmethod
    def _law(holds: bool, message: str) -> None:
        if not holds:
            raise SimulationError(f"conservation: {message}; a defect of the simulator")

    # ---------------------------------------------------------------- counting

    def _outcome(self, cycles: int) -> PassOutcome:
        shape, array = self.shape, self.hw.array
        macs = np.zeros((array.rows, array.columns), np.int64)
        stalls = np.zeros((len(CAUSES), array.rows, array.columns), np.int64)
        stalls[CAUSES.index("clock_gated")] = cycles
        window_words = sum(shape.filters)
        psum_hops = 0
        for pe in self.pes:
            at = pe.site.row, pe.site.column
            windows, filters = pe.windows_done, pe.filter_row.filters
            macs[at] = windows * pe.mac_cycles
            causes = (
                windows * (pe.mac_cycles + pe.bubble_cycles),
                windows * filters,
                pe.wait_filter,
                pe.wait_ifmap,
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
        for _, _, chain in self.chains:
            psum_hops += sum(pe.windows_done * pe.filter_row.filters for pe in chain[1:])
        chain_words = window_words * shape.strip_rows
        psum_out = self._words(self.gon.log, chain_words)
        psum_in = self._words(self.psum_gin.log, chain_words) if self.psum_gin else 0
        total_macs = int(macs.sum())
        products = [
            (pe.windows_done * pe.filter_row.filters, pe.mac_cycles // pe.filter_row.filters)
            for pe in self.pes
        ]
        accumulations = sum(psums * (terms - 1) for psums, terms in products)
        deliveries = sum(pe.port.sent for pe in self.pes)
        filter_gin, ifmap_gin = self.filter_gin, self.ifmap_gin
        counts = {
            "dram.filter.read": shape.filter_words,
            "glb.filter.write": shape.filter_words,
            "glb.filter.read": filter_gin.sent_words,
            "glb.ifmap.read": ifmap_gin.sent_words,
            "glb.psum.read": psum_in,
            "glb.psum.write": psum_out,
            "noc.gin_filter.words": filter_gin.sent_words,
            "noc.gin_filter.deliveries": filter_gin.deliveries,
            "noc.gin_filter.y_bus": filter_gin.y_bus_words,
            "noc.gin_filter.x_bus": filter_gin.x_bus_words,
            "noc.gin_ifmap.words": ifmap_gin.sent_words,
            "noc.gin_ifmap.deliveries": deliveries,
            "noc.gin_ifmap.y_bus": ifmap_gin.sent_words,
            "noc.gin_ifmap.x_bus": ifmap_gin.x_bus_words,
            "noc.gin_psum.words": psum_in,
            "noc.gin_psum.deliveries": psum_in,
            "noc.gin_psum.y_bus": psum_in,
            "noc.gin_psum.x_bus": psum_in,
            "noc.gon_psum.words": psum_out,
            "noc.gon_psum.deliveries": psum_out,
            "noc.local_psum.words": psum_hops,
            "spad.ifmap.write": sum(len(pe.port.entered) for pe in self.pes),
            "spad.ifmap.read": total_macs,
            "spad.ifmap.read_new": sum(pe.windows_done * pe.window_words for pe in self.pes),
            "spad.filter.write": filter_gin.deliveries,
            "spad.filter.read": total_macs,
            "spad.psum.read": accumulations,
            "spad.psum.write": accumulations,
            "mac.total": total_macs,
        }
        events = (
            sum(len(pe.starts) + len(pe.takes) for pe in self.pes)
            + sum(len(link.log) for link in self.links)
            + len(ifmap_gin.log)
            + sum(len(row.log) for row in self.filter_rows.values())
            + len(self.gon.log)
            + (len(self.psum_gin.log) if self.psum_gin else 0)
        )
        return PassOutcome(
            cycles=cycles,
            prefetch=self.dram.prefetch,
            counts=counts,
            multicast=ifmap_gin.multicast(),
            macs=macs,
            stalls=stalls,
            events=events,
            psums=self.psums(),
            gated_macs=sum(pe.gated_macs for pe in self.pes),
            profile=pass_profile(self, cycles) if self.data is None else None,
        )

    def _words(self, log: Sequence[int], window_words: int) -> int:
        """Words of the beats in a psum bus's log."""
        per_window = self.psum_lines // self.shape.windows
        whole, rest = divmod(len(log), per_window)
        self._law(rest == 0, "a psum bus stopped within a window")
        return whole * window_words
