"""The description of a chip: every number of docs/machine.md as a named, checked field.

No field holds behaviour. Capacities and widths have no default here, so that the chip's numbers
stand in one place, `data/eyeriss_v1.yaml`; only the switches whose neutral setting is the chip's
own have one. Upper bounds are far above any chip that was built: they are there so that a
mistyped or hostile file is refused instead of asking for terabytes of simulated memory.

Source marks in the descriptions are those of docs/machine.md: [P] published, [R] reproduced by
arithmetic, [I] inferred, [F] free.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_serializer, model_validator

from hw_models.fields import Conflict, Section, as_tuple, refuse
from workloads.inputs.words import Line, exact, shown

__all__ = [
    "DRAM",
    "GLB",
    "PE",
    "WORDS",
    "Arithmetic",
    "Array",
    "Clock",
    "Hardware",
    "Limits",
    "NoC",
    "Schedule",
    "Word",
    "WordBits",
]

Word: TypeAlias = Literal["ifmap", "filter", "psum"]
"""A kind of word that the machine holds; an ofmap is psums until it leaves for DRAM."""

WORDS: tuple[Word, ...] = get_args(Word)

_MAX_SIDE = 1024
_MAX_FIFO_WORDS = 65536
_MAX_SPAD_WORDS = 65536
_MAX_BANKS = 65536
_MAX_BANK_BYTES = 1 << 20
_MAX_BUS_WORDS = 256
_MAX_CYCLES = 1_000_000
_MAX_BITS = 4096
_MAX_WORD_BITS = 64
_MAX_LIMIT = 65536
_MAX_PES = 65536
_MAX_FILTER_BEATS = 131072


def _in_khz(value: float) -> float:
    # Ratios of finer clocks have so many digits that times on the link no longer fit 64 bit.
    if exact(value) * 1000 % 1:
        raise ValueError(f"must be a whole number of kHz (three decimals), got {value!r}")
    return value


def _as_range(value: object) -> object:
    # Pydantic's own words for a pair that is too short or long speak of missing items.
    value = as_tuple(value)
    if not isinstance(value, tuple) or len(value) != 2:
        raise ValueError(f"must be a pair [lowest, highest], got {shown(value)}")
    return value


def _ordered(value: tuple[int, int]) -> tuple[int, int]:
    low, high = value
    if low > high:
        raise ValueError(f"the range [{low}, {high}] is empty: its first number is the higher")
    return value


def _ascending(values: tuple[int, ...]) -> tuple[int, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("values must stand in ascending order, each given once")
    return values


_Bound = Annotated[int, Field(ge=1, le=_MAX_LIMIT)]
_Range = Annotated[tuple[_Bound, _Bound], BeforeValidator(_as_range), AfterValidator(_ordered)]
_Choice = Annotated[
    tuple[_Bound, ...],
    Field(min_length=1, max_length=64),
    BeforeValidator(as_tuple),
    AfterValidator(_ascending),
]
_Mhz = Annotated[float, Field(ge=0.001, le=100_000), AfterValidator(_in_khz)]
_FifoWords = Annotated[int, Field(ge=1, le=_MAX_FIFO_WORDS)]
_SpadWords = Annotated[int, Field(ge=1, le=_MAX_SPAD_WORDS)]
_BusWords = Annotated[int, Field(ge=1, le=_MAX_BUS_WORDS)]
_Side = Annotated[int, Field(ge=1, le=_MAX_SIDE)]
_Banks = Annotated[int, Field(ge=1, le=_MAX_BANKS)]
_Width = Annotated[int, Field(ge=1, le=_MAX_WORD_BITS)]


class WordBits(Section):
    """Bits of a word of each kind (docs/machine.md sections 1 and 8).

    A file may give a single number, short for all three, and so does `Hardware.to_dict` where they
    are equal.
    """

    ifmap: _Width = Field(
        description="bits of an ifmap word, and of an ofmap's on its way to DRAM [P]"
    )
    filter: _Width = Field(description="bits of a filter word [P]")
    psum: _Width = Field(description="bits of a psum word [P]")

    @model_validator(mode="before")
    @classmethod
    def _one_for_all(cls, value: object) -> object:
        if isinstance(value, (dict, cls)):
            return value
        # Checked here, since three fields would tell the fault of one number three times.
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(
                f"must be a whole number or a mapping of {', '.join(WORDS)}, got {shown(value)}"
            )
        if value < 1:
            raise ValueError(f"must be 1 or more, got {shown(value)}")
        if value > _MAX_WORD_BITS:
            raise ValueError(f"must be {_MAX_WORD_BITS} or less, got {shown(value)}")
        return dict.fromkeys(WORDS, value)

    @model_serializer
    def _short(self) -> int | dict[Word, int]:
        widths = {word: self.of(word) for word in WORDS}
        return self.ifmap if len(set(widths.values())) == 1 else widths

    def of(self, word: Word) -> int:
        """Return bits of a word of that kind."""
        width: int = getattr(self, word)
        return width

    def range_of(self, word: Word) -> tuple[int, int]:
        """Return the least and the greatest word of that kind, in two's complement."""
        half = 1 << (self.of(word) - 1)
        return -half, half - 1

    def __str__(self) -> str:
        if self.ifmap == self.filter == self.psum:
            return f"{self.ifmap} bit"
        return f"{self.ifmap}, {self.filter} and {self.psum} bit (ifmap, filter, psum)"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


class Clock(Section):
    """The two clock domains (docs/machine.md section 3, DRAM link)."""

    core_mhz: _Mhz = Field(description="core clock, MHz [P]")
    link_mhz: _Mhz = Field(description="clock of the DRAM link, MHz [P]")


class Array(Section):
    """The PE array (docs/machine.md section 3)."""

    rows: _Side = Field(description="PEs in a column [P]")
    columns: _Side = Field(description="PEs in a row [P]")
    first_channel_set: Literal["bottom", "top"] = Field(
        default="bottom",
        description="end of a psum chain at which channel set 0 stands; psums go up [F]",
    )


class PE(Section):
    """One processing element: scratch pads, pipeline and port FIFOs (docs/machine.md section 3)."""

    pipeline_stages: int = Field(
        ge=1,
        le=64,
        description="stages from spad read to accumulate [P]; a window of p filters stands still "
        "max(0, stages - p) cycles",
    )
    ifmap_spad_words: _SpadWords = Field(description="ifmap spad, words: q*S must fit [P]")
    filter_spad_words: _SpadWords = Field(description="filter spad, words: p*q*S must fit [P]")
    psum_spad_words: _SpadWords = Field(description="psum spad, words: p must fit [P]")
    ifmap_fifo_words: _FifoWords = Field(description="FIFO of the ifmap port, words [F]")
    filter_fifo_words: _FifoWords = Field(description="FIFO of the filter port, words [F]")
    psum_in_fifo_words: _FifoWords = Field(description="FIFO of the psum input, words [F]")
    psum_out_fifo_words: _FifoWords = Field(description="FIFO of the psum output, words [F]")
    ifmap_spad: Literal["addressed", "shift"] = Field(
        default="addressed",
        description="'shift': one word moves per cycle, so a window costs q*V cycles more and the "
        "ifmap FIFO is not drained meanwhile [F]",
    )
    ifmap_wait: Literal["window", "word"] = Field(
        default="window",
        description="what MACs wait for: all ifmap words of their window, or each MAC for its own "
        "word; a shift register then shifts before it takes in words [F]",
    )
    start_cycles: int = Field(
        default=0,
        ge=0,
        le=_MAX_CYCLES,
        description="cycles by which the first MAC of a pass comes later than its ifmap word "
        "allows [F]",
    )
    image_change_cycles: int = Field(
        default=0,
        ge=0,
        le=_MAX_CYCLES,
        description="cycles after which the ifmap words of an image that is done make room for "
        "those of the next [F]",
    )
    filter_words_per_cycle: _BusWords | None = Field(
        default=None,
        description="words that move from the filter FIFO to the spad in a cycle; null: what the "
        "bus brings passes straight into the spad [F]",
    )
    psum_latency_cycles: int = Field(
        default=0,
        ge=0,
        le=_MAX_CYCLES,
        description="cycles from the accumulation of a psum to its place in the FIFO of outgoing "
        "psums [F]",
    )
    psum_slot_freed: Literal["first_word", "last_word"] = Field(
        default="first_word",
        description="when the slot of an incoming psum beat is free again: when the PE takes the "
        "first word of it, or psum_latency_cycles after the last [F]",
    )


class NoC(Section):
    """The networks GIN and GON and the links between PEs (docs/machine.md section 3)."""

    gin_filter_words_per_cycle: _BusWords = Field(description="filter GIN, words per cycle [P]")
    gin_ifmap_words_per_cycle: _BusWords = Field(description="ifmap GIN, words per cycle [P]")
    psum_words_per_cycle: _BusWords = Field(
        description="psum GIN, local links and GON, words per cycle each; also the words of a full "
        "psum beat [P]"
    )
    local_hop_cycles: int = Field(
        default=1,
        ge=1,
        le=_MAX_CYCLES,
        description="cycles of one hop of a psum beat to the PE above [F]",
    )
    filter_order: Literal["row", "use"] = Field(
        default="row",
        description="'row': all filter words of a PE row, then the next row's; 'use': words in the "
        "order in which MACs use them, a beat to each PE row in turn [F]",
    )
    ifmap_order: Literal["set", "word"] = Field(
        default="set",
        description="within an ifmap column: all words of a channel set, then the next set's, or a "
        "word to each channel set in turn [F]",
    )
    psum_order: Literal["chain", "beat"] = Field(
        default="chain",
        description="within a window: all beats of a psum chain, then the next chain's, or a beat "
        "to each chain in turn [F]",
    )
    bus_fifo_entries: int = Field(
        default=2,
        ge=1,
        le=_MAX_FIFO_WORDS,
        description="entries between a GLB port and its bus [F]; 2 is the least that sustains one "
        "per cycle, since a slot freed in cycle c is filled in c+1",
    )


class GLB(Section):
    """The global buffer (docs/machine.md section 3)."""

    banks: _Banks = Field(description="banks for ifmaps and psums, each wholly one of them [P]")
    bank_bytes: int = Field(ge=1, le=_MAX_BANK_BYTES, description="capacity of a bank, bytes [P]")
    filter_banks: _Banks = Field(description="banks that prefetch the next pass's filters [P]")
    port_bits: int = Field(
        ge=1, le=_MAX_BITS, description="width of each GLB port, bits per core cycle [I]"
    )
    filter_load: Literal["exposed", "streamed", "first"] = Field(
        default="exposed",
        description="'exposed': the array computes nothing while the filters of a pass load [I]; "
        "'streamed': a MAC waits only for its own filter word; 'first': likewise, but ifmap words "
        "leave the GLB after all filter words [F]",
    )


class DRAM(Section):
    """The off-chip link (docs/machine.md sections 3 and 4)."""

    link_bits: int = Field(ge=1, le=_MAX_BITS, description="bits per beat of the link [P]")
    first_access_latency_cycles: int = Field(
        default=0, ge=0, le=_MAX_CYCLES, description="core cycles before the first beat [F]"
    )
    overlap: Literal["none", "ifmap", "full"] = Field(
        default="none",
        description="DRAM traffic that runs while the array computes: none, the ifmap loads, or "
        "ifmap loads and ofmap dumps. Read by the total latency only [F]",
    )
    ofmap_dump: Literal["filter_block", "m_block"] = Field(
        default="filter_block",
        description="when final psums leave for DRAM: behind each filter block, while the next one "
        "computes, or behind the whole m-block. Read by the total latency only [I]",
    )
    rlc: bool = Field(
        default=True,
        description="run-length code ofmaps and all ifmaps but the first layer's [P]",
    )


class Arithmetic(Section):
    """Widths of the numbers, where they differ from exact integers."""

    psum_bits: int | None = Field(
        default=None,
        ge=1,
        le=_MAX_WORD_BITS,
        description="bits a psum is truncated to, no more than word_bits.psum; null keeps exact "
        "integers, 16 is the chip [P]",
    )


class Schedule(Section):
    """Choices in the order of passes (docs/machine.md section 2)."""

    charge_full_strip: bool = Field(
        default=False,
        description="a short last strip still takes the time of e rows [F]",
    )


class Limits(Section):
    """Shapes the chip can be configured for (docs/machine.md section 6); ranges are inclusive."""

    filter_rows: _Range = Field(description="R, lowest and highest [P]")
    filter_columns: _Range = Field(description="S, lowest and highest [P]")
    filters: _Range = Field(description="M per configuration of the chip, lowest and highest [P]")
    channels: _Range = Field(description="C per configuration of the chip, lowest and highest [P]")
    vertical_strides: _Choice = Field(description="every vertical stride the chip knows [P]")
    horizontal_strides: _Range = Field(description="horizontal stride, lowest and highest [P]")


class Hardware(Section):
    """A whole chip. Immutable and hashable; two equal descriptions compare equal.

    Load one with `hw_models.load.load_hardware`, whose errors name file and line; building one
    here raises `pydantic.ValidationError`.
    """

    name: Line = Field(min_length=1, max_length=100, description="short name for tables")
    description: Line = Field(default="", max_length=10_000, description="what this chip is")
    sources: Annotated[
        tuple[Annotated[Line, Field(max_length=1000)], ...],
        Field(max_length=100),
        BeforeValidator(as_tuple),
    ] = Field(default=(), description="publications the numbers come from")
    word_bits: WordBits = Field(
        default=WordBits(ifmap=16, filter=16, psum=16),
        description="bits of ifmap, filter and psum words, or one number for all three",
    )
    clock: Clock = Field(description="core and link clocks")
    array: Array = Field(description="rows and columns of PEs")
    pe: PE = Field(description="spads, pipeline and FIFOs of a PE")
    noc: NoC = Field(description="widths of GIN, GON and local links")
    glb: GLB = Field(description="banks and ports of the global buffer")
    dram: DRAM = Field(description="link to the off-chip memory")
    arithmetic: Arithmetic = Field(default=Arithmetic(), description="widths of numbers")
    schedule: Schedule = Field(default=Schedule(), description="choices in the order of passes")
    limits: Limits = Field(description="shapes the chip can be configured for")

    @model_validator(mode="after")
    def _sections_fit_each_other(self) -> Self:
        conflicts = (self._size_conflicts(), self._width_conflicts(), self._fifo_conflicts())
        refuse("Hardware", [conflict for each in conflicts for conflict in each])
        return self

    def _size_conflicts(self) -> Iterable[Conflict]:
        if self.pes > _MAX_PES:
            yield Conflict(
                ("array", "columns"),
                self.array.columns,
                f"{self.array.rows} rows of {self.array.columns} columns are {self.pes} PEs: must "
                f"be {_MAX_PES} or fewer",
            )
        beats = self.filter_bank_words // max(1, self.link_beat_words)
        if beats > _MAX_FILTER_BEATS:
            yield Conflict(
                ("glb", "filter_banks"),
                self.glb.filter_banks,
                f"{self.glb.filter_banks} banks of {self.glb.bank_bytes} bytes hold {beats} beats "
                f"of dram.link_bits = {self.dram.link_bits}: must be {_MAX_FILTER_BEATS} or fewer",
            )
        if self.link_beat_words > self.filter_bank_words:
            yield Conflict(
                ("dram", "link_bits"),
                self.dram.link_bits,
                f"a beat of {self.dram.link_bits} bits is more than the filter banks hold: "
                f"{self.glb.filter_banks} of {self.glb.bank_bytes} bytes",
            )

    def _width_conflicts(self) -> Iterable[Conflict]:
        crossing: tuple[Word, ...] = ("ifmap", "filter")  # psums stay on the chip
        for at, bits, words in (
            (("glb", "port_bits"), self.glb.port_bits, WORDS),
            (("dram", "link_bits"), self.dram.link_bits, crossing),
        ):
            for width in sorted({self.word_bits.of(word) for word in words}):
                if bits % width:
                    yield Conflict(
                        at, bits, f"{bits} bits hold no whole number of words of {width} bits"
                    )
        if self.glb.bank_bytes * 8 % self.glb.port_bits:
            yield Conflict(
                ("glb", "bank_bytes"),
                self.glb.bank_bytes,
                f"{self.glb.bank_bytes} bytes are no whole number of lines: a bank is read "
                f"glb.port_bits = {self.glb.port_bits} bits at a time",
            )
        networks: tuple[tuple[str, Word], ...] = (
            ("gin_filter_words_per_cycle", "filter"),
            ("gin_ifmap_words_per_cycle", "ifmap"),
            ("psum_words_per_cycle", "psum"),
        )
        for field, word in networks:
            rate: int = getattr(self.noc, field)
            width = self.word_bits.of(word)
            if rate * width > self.glb.port_bits:
                yield Conflict(
                    ("noc", field),
                    rate,
                    f"{rate} words of {width} bits per cycle are more than the GLB port "
                    f"delivers: glb.port_bits = {self.glb.port_bits}, "
                    f"{_many(self.glb.port_bits // width, 'word')}",
                )
        wraps = self.arithmetic.psum_bits
        if wraps is not None and wraps > self.word_bits.psum:
            yield Conflict(
                ("arithmetic", "psum_bits"),
                wraps,
                f"psums of {wraps} bits do not fit the {self.word_bits.psum} bits that a psum word "
                "has: raise word_bits.psum",
            )

    def _fifo_conflicts(self) -> Iterable[Conflict]:
        # A bus waits until every receiver has room for all it carries: below that it waits forever.
        beat_words = min(self.noc.psum_words_per_cycle, self.pe.psum_spad_words)
        for field, least, reason in (
            (
                "ifmap_fifo_words",
                self.noc.gin_ifmap_words_per_cycle,
                "what the bus sends in a cycle (noc.gin_ifmap_words_per_cycle)",
            ),
            (
                "filter_fifo_words",
                self.noc.gin_filter_words_per_cycle,
                "what the bus sends in a cycle (noc.gin_filter_words_per_cycle)",
            ),
            (
                "psum_in_fifo_words",
                beat_words,
                "a psum beat (the lesser of noc.psum_words_per_cycle and pe.psum_spad_words)",
            ),
            (
                "psum_out_fifo_words",
                beat_words,
                "a psum beat (the lesser of noc.psum_words_per_cycle and pe.psum_spad_words)",
            ),
        ):
            words: int = getattr(self.pe, field)
            if words < least:
                yield Conflict(
                    ("pe", field),
                    words,
                    f"{words} words are too few: the FIFO must hold {reason}, {least} words",
                )

    @property
    def pes(self) -> int:
        """PEs of the array (168 on the chip, JSSC 2017)."""
        return self.array.rows * self.array.columns

    def glb_words_per_bank(self, word: Word) -> int:
        """Return words of a kind that one GLB bank holds."""
        return self.glb.bank_bytes * 8 // self.word_bits.of(word)

    def glb_line_words(self, word: Word) -> int:
        """Return words of a kind in a GLB line, which a port reads or writes in a cycle."""
        return self.glb.port_bits // self.word_bits.of(word)

    @property
    def filter_bank_words(self) -> int:
        """Filter words that the filter banks hold."""
        return self.glb.filter_banks * self.glb_words_per_bank("filter")

    @property
    def filter_bank_lines(self) -> int:
        """GLB lines of filters that the filter banks hold."""
        return self.glb.filter_banks * self.glb.bank_bytes * 8 // self.glb.port_bits

    @property
    def core_hz(self) -> float:
        """Core clock in Hz."""
        return float(exact(self.clock.core_mhz) * 1_000_000)

    @property
    def link_beat_cycles(self) -> Fraction:
        """Core cycles per beat of the DRAM link, exact (10/3 for 200 and 60 MHz)."""
        return exact(self.clock.core_mhz) / exact(self.clock.link_mhz)

    @property
    def link_beat_words(self) -> int:
        """Filter words that a beat of the DRAM link carries."""
        return self.dram.link_bits // self.word_bits.filter

    def to_dict(self) -> dict[str, Any]:
        """Return every field, defaults included, as plain JSON-able data.

        `Hardware.model_validate(hardware.to_dict())` gives an equal object.
        """
        return self.model_dump(mode="json")
