"""The shipped chips against docs/machine.md, and what a description may not say."""

import json
import subprocess
import sys
from fractions import Fraction
from functools import reduce
from typing import Any

import pytest
from pydantic import ValidationError

from hw_models.load import load_hardware, shipped_hardware
from hw_models.spec import Hardware, WordBits
from workloads.inputs.faults import InputError

# docs/machine.md section 3: blocks, FIFOs, clocks and variants.
SECTION_3 = {
    "word_bits": "16 bit",
    "clock.core_mhz": 200,
    "clock.link_mhz": 60,
    "array.rows": 12,
    "array.columns": 14,
    "array.first_channel_set": "bottom",
    "pe.pipeline_stages": 3,
    "pe.ifmap_spad_words": 12,
    "pe.filter_spad_words": 224,
    "pe.psum_spad_words": 24,
    "pe.ifmap_fifo_words": 16,
    "pe.filter_fifo_words": 16,
    "pe.psum_in_fifo_words": 32,
    "pe.psum_out_fifo_words": 32,
    "pe.ifmap_spad": "addressed",
    "pe.ifmap_wait": "window",
    "pe.start_cycles": 0,
    "pe.image_change_cycles": 0,
    "pe.filter_words_per_cycle": None,
    "pe.psum_latency_cycles": 0,
    "pe.psum_slot_freed": "first_word",
    "noc.gin_filter_words_per_cycle": 4,
    "noc.gin_ifmap_words_per_cycle": 1,
    "noc.psum_words_per_cycle": 4,
    "noc.local_hop_cycles": 1,
    "noc.filter_order": "row",
    "noc.ifmap_order": "set",
    "noc.psum_order": "chain",
    "noc.bus_fifo_entries": 2,
    "glb.banks": 25,
    "glb.bank_bytes": 512 * 64 // 8,
    "glb.filter_banks": 2,
    "glb.port_bits": 64,
    "glb.filter_load": "exposed",
    "dram.link_bits": 64,
    "dram.first_access_latency_cycles": 0,
    "dram.overlap": "none",
    "dram.ofmap_dump": "filter_block",
    "dram.rlc": True,
    "arithmetic.psum_bits": None,
    "schedule.charge_full_strip": False,
}

# docs/machine.md section 6: limits of the chip.
SECTION_6 = {
    "limits.filter_rows": (1, 12),
    "limits.filter_columns": (1, 12),
    "limits.filters": (1, 1024),
    "limits.channels": (1, 1024),
    "limits.vertical_strides": (1, 2, 4),
    "limits.horizontal_strides": (1, 12),
}

# docs/machine.md section 3, "Variants": where the public RTL differs from the chip.
RTL = {
    "array.first_channel_set": "top",
    "glb.filter_load": "streamed",
    "noc.bus_fifo_entries": 16,
    "noc.filter_order": "use",
    "noc.ifmap_order": "word",
    "noc.psum_order": "beat",
    "pe.filter_words_per_cycle": 1,
    "pe.ifmap_spad": "shift",
    "pe.ifmap_wait": "word",
    "pe.image_change_cycles": 2,
    "pe.psum_latency_cycles": 2,
    "pe.psum_slot_freed": "last_word",
    "pe.start_cycles": 1,
}


def value(hardware: Hardware, field: str) -> Any:
    return reduce(getattr, field.split("."), hardware)


def flat(hardware: Hardware) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, section in hardware.to_dict().items():
        if isinstance(section, dict):
            data |= {f"{name}.{leaf}": entry for leaf, entry in section.items()}
        else:
            data[name] = section
    return data


@pytest.fixture(scope="module")
def chip() -> Hardware:
    return load_hardware("eyeriss_v1")


@pytest.mark.parametrize(("field", "expected"), [*SECTION_3.items(), *SECTION_6.items()])
def test_chip_is_the_one_of_the_machine_page(chip: Hardware, field: str, expected: object) -> None:
    found = value(chip, field)
    assert (str(found) if field == "word_bits" else found) == expected


def test_every_number_of_the_chip_is_in_the_tables_above(chip: Hardware) -> None:
    assert flat(chip).keys() - {"name", "description", "sources"} == {*SECTION_3, *SECTION_6}


def test_rtl_differs_from_the_chip_only_as_the_machine_page_says(chip: Hardware) -> None:
    rtl = load_hardware("eyeriss_rtl")
    before, after = flat(chip), flat(rtl)
    changed = {field: after[field] for field in after if after[field] != before[field]}
    del changed["name"], changed["description"]
    assert changed == RTL


def test_concepts_derived_from_the_chip(chip: Hardware) -> None:
    assert chip.pes == 168  # JSSC 2017
    assert chip.glb_words_per_bank("ifmap") == 512 * 4
    assert chip.core_hz == 200e6
    assert chip.glb_line_words("psum") == 4
    assert chip.filter_bank_lines == 2 * 512
    assert chip.filter_bank_words == 4096
    assert chip.link_beat_cycles == Fraction(10, 3)
    assert chip.link_beat_words == 4


def test_beat_of_the_link_is_exact_for_decimal_clocks() -> None:
    hardware = load_hardware("eyeriss_v1", ["clock.core_mhz=66.7", "clock.link_mhz=0.1"])
    assert hardware.link_beat_cycles == 667
    assert hardware.core_hz == 66_700_000.0


@pytest.mark.parametrize("name", shipped_hardware())
def test_dict_round_trip(name: str) -> None:
    hardware = load_hardware(name)
    again = Hardware.model_validate(json.loads(json.dumps(hardware.to_dict())))
    assert again == hardware
    assert hash(again) == hash(hardware)


def test_every_field_is_described() -> None:
    def undescribed(schema: dict[str, Any]) -> list[str]:
        models = {"Hardware": schema, **schema["$defs"]}
        return [
            f"{model}.{field}"
            for model, body in models.items()
            for field, entry in body["properties"].items()
            if not entry.get("description")
        ]

    assert undescribed(Hardware.model_json_schema()) == []


def test_a_description_cannot_change(chip: Hardware) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        chip.array.rows = 24  # type: ignore[misc]


def test_importing_the_package_costs_no_pydantic() -> None:
    code = "import sys, hw_models; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


REFUSALS = {
    # single values
    "name=''": "must have 1 or more characters, got ''",
    "name=null": "must be text, got nothing",
    "sources=JSSC": "must be a list, got 'JSSC'",
    "word_bits=65": "must be 64 or less, got 65",
    "clock.core_mhz=0": "must be 0.001 or more, got 0",
    "clock.core_mhz=fast": "must be a number, got 'fast'",
    "clock.link_mhz=true": "must be a number, got true",
    "clock.link_mhz=.inf": "must be a finite number, got .inf",
    "clock.link_mhz=1e9": "must be 100000.0 or less, got 1000000000.0",
    "array.rows=0": "must be 1 or more, got 0",
    "array.rows=1025": "must be 1024 or less, got 1025",
    "array.columns=14.0": "must be a whole number, got 14.0",
    "array.columns='14'": "must be a whole number, got '14'",
    "array.columns=[14]": "must be a whole number, got a list of 1",
    "pe.pipeline_stages=65": "must be 64 or less, got 65",
    "pe.filter_spad_words=65537": "must be 65536 or less, got 65537",
    "pe.ifmap_fifo_words=100000000000": "must be 65536 or less, got 100000000000",
    "pe.ifmap_spad=shifted": (
        "must be 'addressed' or 'shift', got 'shifted'; did you mean 'shift'?"
    ),
    "noc.local_hop_cycles=0": "must be 1 or more, got 0",
    "noc.bus_fifo_entries=0": "must be 1 or more, got 0",
    "glb.banks=65537": "must be 65536 or less, got 65537",
    "glb.bank_bytes=2097152": "must be 1048576 or less, got 2097152",
    "glb.filter_load=stream": (
        "must be 'exposed', 'streamed' or 'first', got 'stream'; did you mean 'streamed'?"
    ),
    "dram.first_access_latency_cycles=-1": "must be 0 or more, got -1",
    "dram.overlap=all": "must be 'none', 'ifmap' or 'full', got 'all'",
    "dram.rlc=1": "must be true or false, got 1",
    "arithmetic.psum_bits=65": "must be 64 or less, got 65",
    "schedule.charge_full_strip=yes": "must be true or false, got 'yes'",
    # ranges and choices
    "limits.filter_rows=12": "must be a pair [lowest, highest], got 12",
    "limits.filter_rows=[1, 6, 12]": "must be a pair [lowest, highest], got a list of 3",
    "limits.filter_columns=[12, 1]": "the range [12, 1] is empty: its first number is the higher",
    "limits.filters=[0, 1024]": "must be 1 or more, got 0",
    "limits.channels=[1, 65537]": "must be 65536 or less, got 65537",
    "limits.horizontal_strides=[1, x]": "must be a whole number, got 'x'",
    "limits.vertical_strides=4": "must be a list, got 4",
    "limits.vertical_strides=[]": "must have 1 or more entries, got 0",
    "limits.vertical_strides=[1, 4, 2]": "values must stand in ascending order, each given once",
    "limits.vertical_strides=[1, 1, 2]": "values must stand in ascending order, each given once",
    # fields that do not fit each other
    "noc.gin_ifmap_words_per_cycle=5": (
        "5 words of 16 bits per cycle are more than the GLB port delivers: glb.port_bits = 64, "
        "4 words"
    ),
    "noc.psum_words_per_cycle=8": (
        "8 words of 16 bits per cycle are more than the GLB port delivers: glb.port_bits = 64, "
        "4 words"
    ),
    "pe.filter_fifo_words=3": (
        "3 words are too few: the FIFO must hold what the bus sends in a cycle "
        "(noc.gin_filter_words_per_cycle), 4 words"
    ),
    "pe.psum_in_fifo_words=3": (
        "3 words are too few: the FIFO must hold a psum beat "
        "(the lesser of noc.psum_words_per_cycle and pe.psum_spad_words), 4 words"
    ),
    "pe.psum_out_fifo_words=1": (
        "1 words are too few: the FIFO must hold a psum beat "
        "(the lesser of noc.psum_words_per_cycle and pe.psum_spad_words), 4 words"
    ),
    "glb.bank_bytes=4100": (
        "4100 bytes are no whole number of lines: a bank is read glb.port_bits = 64 bits at a time"
    ),
    # widths of words
    "word_bits=0": "must be 1 or more, got 0",
    "word_bits=x": "must be a whole number or a mapping of ifmap, filter, psum, got 'x'",
    "word_bits=16.0": "must be a whole number or a mapping of ifmap, filter, psum, got 16.0",
    "word_bits=null": "must be a whole number or a mapping of ifmap, filter, psum, got nothing",
    "word_bits.psum=0": "must be 1 or more, got 0",
    "word_bits.filter=65": "must be 64 or less, got 65",
    "word_bits.ifmap=8.5": "must be a whole number, got 8.5",
    "arithmetic.psum_bits=17": (
        "psums of 17 bits do not fit the 16 bits that a psum word has: raise word_bits.psum"
    ),
    "dram.link_bits=40": "40 bits hold no whole number of words of 16 bits",
}


@pytest.mark.parametrize(("setting", "message"), REFUSALS.items())
def test_refused_value(setting: str, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        load_hardware("eyeriss_v1", [setting])
    assert str(refusal.value) == f"--set {setting}: {message}"


def test_refused_ifmap_fifo_narrower_than_its_bus() -> None:
    settings = ["noc.gin_ifmap_words_per_cycle=4", "pe.ifmap_fifo_words=2"]
    with pytest.raises(InputError) as refusal:
        load_hardware("eyeriss_v1", settings)
    assert str(refusal.value) == (
        "--set pe.ifmap_fifo_words=2: 2 words are too few: the FIFO must hold what the bus sends "
        "in a cycle (noc.gin_ifmap_words_per_cycle), 4 words"
    )


def test_refused_port_of_broken_words() -> None:
    with pytest.raises(InputError) as refusal:
        load_hardware("eyeriss_v1", ["glb.port_bits=72", "glb.bank_bytes=4608"])
    assert str(refusal.value) == (
        "--set glb.port_bits=72: 72 bits hold no whole number of words of 16 bits"
    )


def test_a_number_is_short_for_the_width_of_all_words() -> None:
    eight = load_hardware("eyeriss_v1", ["word_bits=8"])
    assert eight.word_bits == WordBits(ifmap=8, filter=8, psum=8)
    assert eight.to_dict()["word_bits"] == 8
    assert str(eight.word_bits) == "8 bit"


def test_capacities_and_lines_have_the_width_of_their_words() -> None:
    hardware = load_hardware("eyeriss_int8")
    words = ("ifmap", "filter", "psum")
    assert hardware.to_dict()["word_bits"] == {"ifmap": 8, "filter": 8, "psum": 32}
    assert str(hardware.word_bits) == "8, 8 and 32 bit (ifmap, filter, psum)"
    assert [hardware.glb_words_per_bank(word) for word in words] == [4096, 4096, 1024]
    assert [hardware.glb_line_words(word) for word in words] == [8, 8, 2]
    assert [hardware.word_bits.range_of(word)[0] for word in words] == [-128, -128, -(1 << 31)]


def test_refused_psum_beat_wider_than_the_port() -> None:
    with pytest.raises(InputError) as refusal:
        load_hardware("eyeriss_v1", ["word_bits.psum=32"])
    assert str(refusal.value).endswith(
        "noc.psum_words_per_cycle: 4 words of 32 bits per cycle are more than the GLB port "
        "delivers: glb.port_bits = 64, 2 words"
    )
    for room in ("noc.psum_words_per_cycle=2", "glb.port_bits=128"):
        assert load_hardware("eyeriss_v1", ["word_bits.psum=32", room]).word_bits.psum == 32


def test_psums_never_cross_the_link() -> None:
    wide = ["word_bits.psum=32", "dram.link_bits=16", "noc.psum_words_per_cycle=2"]
    assert load_hardware("eyeriss_v1", wide).dram.link_bits == 16


def test_a_psum_fifo_may_be_as_small_as_the_psum_spad() -> None:
    settings = ["pe.psum_spad_words=2", "pe.psum_in_fifo_words=2", "pe.psum_out_fifo_words=2"]
    assert load_hardware("eyeriss_v1", settings).pe.psum_in_fifo_words == 2


def test_limits_belong_to_the_hardware() -> None:
    settings = ["limits.filters=[1, 4096]", "limits.vertical_strides=[1, 2, 3]", "array.rows=24"]
    hardware = load_hardware("eyeriss_v1", settings)
    assert hardware.limits.filters == (1, 4096)
    assert hardware.limits.vertical_strides == (1, 2, 3)
    assert hardware.pes == 24 * 14
