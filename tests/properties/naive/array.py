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
        self.leaving: list[tuple[int, int]] = []  # cycles until its place is free, words

    def room(self, words: int) -> bool:
        return self.taken + words <= self.depth

    def promise(self, words: int) -> None:
        self.taken += words

    def put(self, words: int, cycles: int = 1) -> None:
        """Write what room was promised for."""
        self.on_the_way.append((cycles, words))

    def take(self, cycles: int = 0) -> int:
        """Read an item, whose place is emptied so many cycles later."""
        words = self.items.popleft()
        if cycles:
            self.leaving.append((cycles, words))
        else:
            self.freed += words
        return words

    def end_of_cycle(self) -> None:
        if self.leaving:
            self.freed += sum(words for cycles, words in self.leaving if cycles == 0)
            self.leaving = [(cycles - 1, words) for cycles, words in self.leaving if cycles]
        self.taken -= self.freed
        self.freed = 0
        if self.on_the_way:
            nearer = [(cycles - 1, words) for cycles, words in self.on_the_way]
            self.items.extend(words for cycles, words in nearer if not cycles)
            self.on_the_way = [(cycles, words) for cycles, words in nearer if cycles]


class FilterRow:
    """The filter FIFOs and spads of a row of PEs: all of them get the same words.

    MACs go by column, channel, filter; the bus sends the words in this order, too, or by filter,
    channel, column.
    """

    def __init__(self, hw: Hardware, filters: int, channels: int, columns: int) -> None:
        used = [(f, c, s) for s in range(columns) for c in range(channels) for f in range(filters)]
        sent = used if hw.noc.filter_order == "use" else sorted(used)
        place = {word: number for number, word in enumerate(sent)}
        self.of_mac = [place[word] for word in used]
        self.words = len(sent)
        self.there = 0
        self.coming = 0
        self.a_cycle = hw.pe.filter_words_per_cycle
        self.fifo = Fifo(hw.pe.filter_fifo_words)

    def room(self, words: int) -> bool:
        return self.a_cycle is None or self.fifo.room(words)

    def receive(self, words: int) -> None:
        if self.a_cycle is None:
            self.coming += words
        else:
            for _ in range(words):
                self.fifo.promise(1)
                self.fifo.put(1)

    def step(self) -> None:
        """Move words from the FIFO to the spad."""
        for _ in range(min(self.a_cycle or 0, len(self.fifo.items))):
            self.coming += self.fifo.take()

    def end_of_cycle(self) -> None:
        self.there += self.coming
        self.coming = 0
        self.fifo.end_of_cycle()


class PE:
    """A PE: ifmap port and spad, MACs, psum FIFOs."""

    def __init__(
        self, hw: Hardware, layer: Layer, block: Block, filters: int, channels: int, row: FilterRow
    ) -> None:
        self.row = row
        self.streamed = hw.glb.filter_load in ("streamed", "first")
        self.shift = hw.pe.ifmap_spad == "shift"
        self.by_word = hw.pe.ifmap_wait == "word"
        self.start_wait = hw.pe.start_cycles  # cycles that the first MAC still waits
        self.image_change = hw.pe.image_change_cycles
        self.latency = hw.pe.psum_latency_cycles
        self.frees_late = hw.pe.psum_slot_freed == "last_word"
        self.ifmap = Fifo(hw.pe.ifmap_fifo_words)
        self.psum_in = Fifo(hw.pe.psum_in_fifo_words)
        self.psum_out = Fifo(hw.pe.psum_out_fifo_words)
        self.expects_psums = True
        self.beats = cut(filters, hw.noc.psum_words_per_cycle)
        self.filters = filters
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
        self.held: list[tuple[int, int]] = []  # cycles until they are free, places
        self.to_shift = 0
        self.doing = "waiting"
        self.mac = 0
        self.paused = 0
        self.beat = 0
        self.to_add = 0

    def step(self, filters_loaded: bool) -> None:
        loaded = filters_loaded or self.streamed
        there = self.windows_left and self.spad >= (1 if self.by_word else self.window_words)
        late = there and self.start_wait
        if late:
            self.start_wait -= 1
        if self.doing == "waiting" and there and loaded and not late:
            self.doing = "macs"
        self.move_ifmap_word()
        if self.doing == "macs":
            self.step_macs()
        elif self.doing == "pause":
            self.step_pause()
        elif self.doing == "psums":
            self.step_psums()
        elif self.doing == "shifting":
            self.to_shift -= 1
            if not self.to_shift:
                self.doing = "waiting"

    def move_ifmap_word(self) -> None:
        """From the FIFO to the spad; a shift register for whole windows stands still during one."""
        if self.shift and not self.by_word and self.doing != "waiting":
            return
        taken = self.spad + self.spad_coming + sum(places for _, places in self.held)
        if self.ifmap.items and taken < self.places:
            self.ifmap.take()
            self.spad_coming += 1

    def step_macs(self) -> None:
        if self.streamed and self.row.of_mac[self.mac] >= self.row.there:
            return
        if self.by_word and self.mac // self.filters >= self.spad:
            return
        self.mac += 1
        if self.mac == self.macs:
            self.mac = 0
            self.column += 1
            if not self.shift:
                self.words_leave()
            self.paused = 0
            self.doing = "pause" if self.pause else "psums"

    def words_leave(self) -> None:
        """The oldest words leave the spad, at the end of an image all of them."""
        if self.column == self.columns:
            self.column, leaving, cycles = 0, self.window_words, self.image_change
        else:
            leaving = self.step_words
            cycles = self.to_shift = leaving if self.shift and self.by_word else 0
        self.spad_change -= leaving
        if cycles:
            self.held.append((cycles + 1, leaving))  # this cycle counts, too

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
                self.psum_in.take(size - 1 + self.latency if self.frees_late else 0)
            self.psum_out.promise(size)
            self.to_add = size
        self.to_add -= 1
        if not self.to_add:
            self.psum_out.put(size, 1 + self.latency)
            self.beat += 1
            if self.beat == len(self.beats):
                self.beat = 0
                self.windows_left -= 1
                if self.shift:
                    self.words_leave()
                self.doing = "shifting" if self.to_shift else "waiting"

    def end_of_cycle(self) -> None:
        self.spad += self.spad_coming + self.spad_change
        self.spad_coming = self.spad_change = 0
        self.held = [(cycles - 1, places) for cycles, places in self.held if cycles > 1]
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
                row = self.rows[t, k] = FilterRow(self.hw, filters, channels, layer.S)
                for j in range(block.rows):
                    self.pes[t, j, k] = PE(self.hw, layer, block, filters, channels, row)
                    if block.first and k == self.height - 1:
                        self.pes[t, j, k].expects_psums = False

    def channel_set(self, k: int) -> int:
        """The channel set of row k of a chain: set 0 is the lowest, or the uppermost."""
        from_top = k // self.layer.R
        return from_top if self.first_on_top else len(self.block.channels) - 1 - from_top

    @property
    def first_on_top(self) -> bool:
        return self.hw.array.first_channel_set == "top"

    def place(self, t: int, k: int) -> tuple[int, int]:
        """Row and column on the array of the first PE in row k of filter set t."""
        columns, block = self.hw.array.columns, self.block
        chain = block.channel_sets * self.layer.R
        if block.set_columns > columns:  # cut into segments, stacked
            top, left = t * len(cut(block.set_columns, columns)) * chain, 0
        else:
            side_by_side = columns // block.set_columns
            top, left = t // side_by_side * chain, t % side_by_side * block.set_columns
        missing = 0 if self.first_on_top else chain - self.height
        return top + missing + k, left

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
        if noc.filter_order == "row":
            beats = [
                (row, size)
                for _, row in sorted(self.rows.items(), key=lambda item: self.place(*item[0]))
                for size in cut(row.words, noc.gin_filter_words_per_cycle)
            ]
        else:  # a beat to each row in turn: by filter row, then channel set, then filter set
            turns = [
                (beat, k % self.layer.R, self.channel_set(k), t, size, row)
                for (t, k), row in self.rows.items()
                for beat, size in enumerate(cut(row.words, noc.gin_filter_words_per_cycle))
            ]
            turns.sort(key=lambda turn: turn[:4])
            beats = [(row, size) for *_, size, row in turns]
        self.filter_beats = deque(beats)
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
            (c, h) for c in range(len(channel_sets)) for h in range(layer.ifmap_rows(block.rows))
        ]
        if self.hw.noc.ifmap_order == "word":  # by channel of its set, then row, then set
            of_set = [c - channel_sets.index(s) for c, s in enumerate(channel_sets)]
            column.sort(key=lambda word: (of_set[word[0]], word[1], channel_sets[word[0]]))
        words = [receivers[word] for word in column]
        self.ifmap_left = deque(words * (block.images * block.ifmap_columns(layer)))

    def build_psums(self) -> None:
        block, noc = self.block, self.hw.noc
        window = [
            (beat, t, j, size)
            for t, filters in enumerate(block.filters)
            for j in range(block.rows)
            for beat, size in enumerate(cut(filters, noc.psum_words_per_cycle))
        ]
        if noc.psum_order == "beat":  # one to each chain in turn: by ofmap row, then filter set
            window.sort(key=lambda turn: (turn[0], turn[2], turn[1]))
        order = [(t, j, size) for _, t, j, size in window] * (block.images * block.columns)
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
        for row in self.rows.values():
            row.step()
        for pe in self.pes.values():
            pe.step(self.filters_loaded)
        self.end_of_cycle()

    @property
    def over(self) -> bool:
        """The last psum has left through the GON."""
        return not self.gon_left

    def step_ports(self) -> None:
        """Each port reads or writes a line; an item of a register is a line, or a piece of one."""
        ifmaps_wait = self.hw.glb.filter_load == "first" and len(self.filters_to_read) > 0
        for _ in range(self.filter_pieces_of_line):
            waiting = self.filters_to_read
            if not (waiting and self.filter_register.room(1) and self.link.readable(waiting[0])):
                break
            self.link.read(waiting.popleft())
            self.filter_register.promise(1)
            self.filter_register.put(1)
        if self.ifmap_reads_left and self.ifmap_register.room(1) and not ifmaps_wait:
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
        if not row.room(size):
            return
        ready = islice(self.filters_to_send, len(self.filter_register.items))
        if self.filter_kept + sum(ready) < size:
            return
        while self.filter_kept < size:
            self.filter_register.take()
            self.filter_kept += self.filters_to_send.popleft()
        self.filter_kept -= size
        self.filter_beats.popleft()
        row.receive(size)

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
        self.filters_loaded = all(row.there == row.words for row in self.rows.values())
