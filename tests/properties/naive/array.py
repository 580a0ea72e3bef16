"""One processing pass on the array, cycle by cycle (docs/machine.md sections 3 and 8)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from math import gcd

from hw_models.spec import Hardware
from naive.link import FilterLink
from workloads.layer import Layer


@dataclass(frozen=True)
class Block:
    """What a pass works on.

    `rows` are ofmap rows of the strip, `columns` ofmap columns of the tile; `filters` those of each
    filter set; `channels` those of each channel set, the lowest of a chain first; `first` says that
    psums start from zero.
    `set_columns` and `channel_sets` are the mapping's e and r, also where the block is smaller.
    """

    images: int
    columns: int
    rows: int
    filters: tuple[int, ...]
    channels: tuple[int, ...]
    first: bool
    set_columns: int
    channel_sets: int

    def filter_words(self, layer: Layer) -> int:
        """Words that the filter bus sends."""
        return sum(self.filters) * sum(self.channels) * layer.R * layer.S

    def ifmap_words(self, layer: Layer) -> int:
        """Words of the ifmap strip."""
        rows = layer.ifmap_rows(self.rows)
        return self.images * sum(self.channels) * rows * self.ifmap_columns(layer)

    def ifmap_columns(self, layer: Layer) -> int:
        """Ifmap columns that the windows of the tile touch."""
        return len({j * layer.V + k for j in range(self.columns) for k in range(layer.S)})


def cut(total: int, block: int) -> tuple[int, ...]:
    """Cut a number into blocks, the last one possibly smaller."""
    return tuple(min(block, total - start) for start in range(0, total, block))


class Fifo:
    """A registered channel of `depth` words: items can be read a cycle after they were written.

    A place stays taken for the rest of the cycle in which it is emptied.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.taken = 0  # words that are in it, or for which room was promised
        self.freed = 0  # of these, words read in this cycle
        self.items: deque[int] = deque()
        self.on_the_way: list[tuple[int, int]] = []  # cycles until it can be read, words

    def room(self, words: int) -> bool:
        return self.taken + words <= self.depth

    def promise(self, words: int) -> None:
        self.taken += words

    def put(self, words: int, cycles: int = 1) -> None:
        """Write what room was promised for."""
        self.on_the_way.append((cycles, words))

    def take(self) -> int:
        words = self.items.popleft()
        self.freed += words
        return words

    def end_of_cycle(self) -> None:
        self.taken -= self.freed
        self.freed = 0
        if self.on_the_way:
            nearer = [(cycles - 1, words) for cycles, words in self.on_the_way]
            self.items.extend(words for cycles, words in nearer if not cycles)
            self.on_the_way = [(cycles, words) for cycles, words in nearer if cycles]


class FilterRow:
    """The filter spads of a row of PEs: all of them get the same words.

    The bus sends them by filter, channel, column; MACs go by column, channel, filter.
    """

    def __init__(self, filters: int, channels: int, columns: int) -> None:
        sent = [(f, c, s) for f in range(filters) for c in range(channels) for s in range(columns)]
        place = {word: number for number, word in enumerate(sent)}
        self.of_mac = [
            place[f, c, s] for s in range(columns) for c in range(channels) for f in range(filters)
        ]
        self.words = len(sent)
        self.there = 0
        self.coming = 0

    def end_of_cycle(self) -> None:
        self.there += self.coming
        self.coming = 0


class PE:
    """A PE: ifmap port and spad, MACs, psum FIFOs."""

    def __init__(
        self, hw: Hardware, layer: Layer, block: Block, filters: int, channels: int, row: FilterRow
    ) -> None:
        self.row = row
        self.streamed = hw.glb.filter_load == "streamed"
        self.shift = hw.pe.ifmap_spad == "shift"
        self.ifmap = Fifo(hw.pe.ifmap_fifo_words)
        self.psum_in = Fifo(hw.pe.psum_in_fifo_words)
        self.psum_out = Fifo(hw.pe.psum_out_fifo_words)
        self.expects_psums = True
        self.beats = cut(filters, hw.noc.psum_words_per_cycle)
        self.macs = filters * channels * layer.S
        self.pause = max(0, hw.pe.pipeline_stages - filters)
        self.window_words = channels * layer.S
        self.step_words = channels * min(layer.V, layer.S)
        self.places = self.window_words if self.shift else hw.pe.ifmap_spad_words
        self.columns = block.columns
        self.windows_left = block.columns * block.images
        self.column = 0
        self.spad = 0  # words in the ifmap spad
        self.spad_change = 0  # of this cycle; seen in the next one
        self.spad_coming = 0
        self.doing = "waiting"
        self.mac = 0
        self.paused = 0
        self.beat = 0
        self.to_add = 0

    def step(self, filters_loaded: bool) -> None:
        loaded = filters_loaded or self.streamed
        there = self.windows_left and self.spad >= self.window_words
        if self.doing == "waiting" and there and loaded:
            self.doing = "macs"
        self.move_ifmap_word()
        if self.doing == "macs":
            self.step_macs()
        elif self.doing == "pause":
            self.step_pause()
        elif self.doing == "psums":
            self.step_psums()

    def move_ifmap_word(self) -> None:
        """From the FIFO to the spad; a shift register stands still during a window."""
        if self.shift and self.doing != "waiting":
            return
        if self.ifmap.items and self.spad + self.spad_coming < self.places:
            self.ifmap.take()
            self.spad_coming += 1

    def step_macs(self) -> None:
        if self.streamed and self.row.of_mac[self.mac] >= self.row.there:
            return
        self.mac += 1
        if self.mac == self.macs:
            self.mac = 0
            self.column += 1
            leaving = self.step_words
            if self.column == self.columns:  # at the end of an image everything leaves
                self.column, leaving = 0, self.window_words
            self.spad_change -= leaving
            self.paused = 0
            self.doing = "pause" if self.pause else "psums"

    def step_pause(self) -> None:
        self.paused += 1
        if self.paused == self.pause:
            self.doing = "psums"

    def step_psums(self) -> None:
        size = self.beats[self.beat]
        if not self.to_add:
            if (self.expects_psums and not self.psum_in.items) or not self.psum_out.room(size):
                return
            if self.expects_psums:
                self.psum_in.take()
            self.psum_out.promise(size)
            self.to_add = size
        self.to_add -= 1
        if not self.to_add:
            self.psum_out.put(size)
            self.beat += 1
            if self.beat == len(self.beats):
                self.beat = 0
                self.windows_left -= 1
                self.doing = "waiting"

    def end_of_cycle(self) -> None:
        self.spad += self.spad_coming + self.spad_change
        self.spad_coming = self.spad_change = 0
        self.ifmap.end_of_cycle()
        self.psum_in.end_of_cycle()
        self.psum_out.end_of_cycle()


class Array:
    """Ports, buses and PEs for one pass."""

    def __init__(self, hw: Hardware, layer: Layer, block: Block, link: FilterLink) -> None:
        self.hw, self.layer, self.block, self.link = hw, layer, block, link
        self.height = len(block.channels) * layer.R
        self.build_pes()
        self.build_filters()
        self.build_ifmap()
        self.build_psums()

    # --- building ---------------------------------------------------------------------------------

    def build_pes(self) -> None:
        """PEs by (filter set, column of the set, row of the chain); row 0 is the uppermost."""
        layer, block = self.layer, self.block
        self.rows: dict[tuple[int, int], FilterRow] = {}
        self.pes: dict[tuple[int, int, int], PE] = {}
        for t, filters in enumerate(block.filters):
            for k in range(self.height):
                channels = block.channels[self.channel_set(k)]
                row = self.rows[t, k] = FilterRow(filters, channels, layer.S)
                for j in range(block.rows):
                    self.pes[t, j, k] = PE(self.hw, layer, block, filters, channels, row)
                    if block.first and k == self.height - 1:
                        self.pes[t, j, k].expects_psums = False

    def channel_set(self, k: int) -> int:
        """The channel set of row k of a chain: set 0 is the lowest."""
        return len(self.block.channels) - 1 - k // self.layer.R

    def place(self, t: int, k: int) -> tuple[int, int]:
        """Row and column on the array of the first PE in row k of filter set t."""
        columns, block = self.hw.array.columns, self.block
        chain = block.channel_sets * self.layer.R
        if block.set_columns > columns:  # cut into segments, stacked
            top, left = t * len(cut(block.set_columns, columns)) * chain, 0
        else:
            side_by_side = columns // block.set_columns
            top, left = t // side_by_side * chain, t % side_by_side * block.set_columns
        return top + chain - self.height + k, left

    def build_filters(self) -> None:
        noc = self.hw.noc
        # Filters are read in the largest pieces that both a line and a beat of the link hold.
        line = self.hw.glb_line_words("filter")
        piece = gcd(line, self.hw.dram.link_bits // self.hw.word_bits.filter)
        self.filter_pieces_of_line = line // piece
        self.filter_register = Fifo(noc.bus_fifo_entries * self.filter_pieces_of_line)
        self.filters_to_read = deque(cut(self.block.filter_words(self.layer), piece))
        self.filters_to_send = deque(self.filters_to_read)
        self.filter_kept = 0  # words of a piece that the bus keeps
        self.filter_beats = deque(
            (row, size)
            for _, row in sorted(self.rows.items(), key=lambda item: self.place(*item[0]))
            for size in cut(row.words, noc.gin_filter_words_per_cycle)
        )
        self.filters_loaded = False

    def build_ifmap(self) -> None:
        layer, block = self.layer, self.block
        self.ifmap_register = Fifo(self.hw.noc.bus_fifo_entries)
        self.ifmap_lines = deque(cut(block.ifmap_words(layer), self.hw.glb_line_words("ifmap")))
        self.ifmap_reads_left = len(self.ifmap_lines)
        self.ifmap_sent = 0  # words of the first line
        # A word of channel c, row h goes to the PEs of c's set in whose row i, column j it is
        # that h = j*U + i.
        receivers: dict[tuple[int, int], list[PE]] = {}
        channel_sets = [s for s, channels in enumerate(block.channels) for _ in range(channels)]
        for c, s in enumerate(channel_sets):
            for (_, j, k), pe in self.pes.items():
                if self.channel_set(k) == s:
                    h = j * min(layer.U, layer.R) + k % layer.R
                    receivers.setdefault((c, h), []).append(pe)
        column = [
            receivers[c, h]
            for c in range(len(channel_sets))
            for h in range(layer.ifmap_rows(block.rows))
        ]
        self.ifmap_left = deque(column * (block.images * block.ifmap_columns(layer)))

    def build_psums(self) -> None:
        block, noc = self.block, self.hw.noc
        order = [
            (t, j, size)
            for _ in range(block.images * block.columns)
            for t, filters in enumerate(block.filters)
            for j in range(block.rows)
            for size in cut(filters, noc.psum_words_per_cycle)
        ]
        self.gon_left = deque(order)
        self.psums_left = deque(() if block.first else order)
        self.psum_reads_left = len(self.psums_left)
        self.psum_register = Fifo(noc.bus_fifo_entries)
        self.gon_register = Fifo(noc.bus_fifo_entries)

    # --- a cycle ----------------------------------------------------------------------------------

    def step(self) -> None:
        """Pass a cycle. The order of the blocks is of no account."""
        self.step_ports()
        self.step_filter_bus()
        self.step_ifmap_bus()
        self.step_psum_bus()
        self.step_gon()
        self.step_local_links()
        for pe in self.pes.values():
            pe.step(self.filters_loaded)
        self.end_of_cycle()

    @property
    def over(self) -> bool:
        """The last psum has left through the GON."""
        return not self.gon_left

    def step_ports(self) -> None:
        """Each port reads or writes a line; an item of a register is a line, or a piece of one."""
        for _ in range(self.filter_pieces_of_line):
            waiting = self.filters_to_read
            if not (waiting and self.filter_register.room(1) and self.link.readable(waiting[0])):
                break
            self.link.read(waiting.popleft())
            self.filter_register.promise(1)
            self.filter_register.put(1)
        if self.ifmap_reads_left and self.ifmap_register.room(1):
            self.ifmap_reads_left -= 1
            self.ifmap_register.promise(1)
            self.ifmap_register.put(1)
        if self.psum_reads_left and self.psum_register.room(1):
            self.psum_reads_left -= 1
            self.psum_register.promise(1)
            self.psum_register.put(1)
        if self.gon_register.items:
            self.gon_register.take()

    def step_filter_bus(self) -> None:
        if not self.filter_beats:
            return
        row, size = self.filter_beats[0]
        ready = islice(self.filters_to_send, len(self.filter_register.items))
        if self.filter_kept + sum(ready) < size:
            return
        while self.filter_kept < size:
            self.filter_register.take()
            self.filter_kept += self.filters_to_send.popleft()
        self.filter_kept -= size
        self.filter_beats.popleft()
        row.coming += size

    def step_ifmap_bus(self) -> None:
        for _ in range(self.hw.noc.gin_ifmap_words_per_cycle):
            if not self.ifmap_left or not self.ifmap_register.items:
                return
            if not all(pe.ifmap.room(1) for pe in self.ifmap_left[0]):
                return
            for pe in self.ifmap_left.popleft():
                pe.ifmap.promise(1)
                pe.ifmap.put(1)
            self.ifmap_sent += 1
            if self.ifmap_sent == self.ifmap_lines[0]:
                self.ifmap_sent = 0
                self.ifmap_lines.popleft()
                self.ifmap_register.take()

    def step_psum_bus(self) -> None:
        if not self.psums_left or not self.psum_register.items:
            return
        t, j, size = self.psums_left[0]
        fifo = self.pes[t, j, self.height - 1].psum_in
        if fifo.room(size):
            self.psums_left.popleft()
            self.psum_register.take()
            fifo.promise(size)
            fifo.put(size)

    def step_gon(self) -> None:
        if not self.gon_left or not self.gon_register.room(1):
            return
        t, j, size = self.gon_left[0]
        fifo = self.pes[t, j, 0].psum_out
        if fifo.items:
            assert fifo.take() == size
            self.gon_left.popleft()
            self.gon_register.promise(1)
            self.gon_register.put(1)

    def step_local_links(self) -> None:
        for (t, j, k), pe in self.pes.items():
            if k and pe.psum_out.items:
                above = self.pes[t, j, k - 1].psum_in
                if above.room(pe.psum_out.items[0]):
                    size = pe.psum_out.take()
                    above.promise(size)
                    above.put(size, self.hw.noc.local_hop_cycles)

    def end_of_cycle(self) -> None:
        for row in self.rows.values():
            row.end_of_cycle()
        for pe in self.pes.values():
            pe.end_of_cycle()
        self.filter_register.end_of_cycle()
        self.ifmap_register.end_of_cycle()
        self.psum_register.end_of_cycle()
        self.gon_register.end_of_cycle()
        self.filters_loaded = not self.filter_beats
