"""Where a description comes from, and where its faults are said to stand."""

from pathlib import Path

import pytest

import hw_models
from hw_models.load import MAX_BASES, load_hardware, shipped_hardware
from hw_models.spec import WordBits
from workloads.inputs.document import read_document
from workloads.inputs.faults import InputError

DATA = Path(hw_models.__file__).parent / "data"
CHIP = DATA / "eyeriss_v1.yaml"


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def refusal(name_or_path: str, *overrides: str) -> str:
    with pytest.raises(InputError) as refused:
        load_hardware(name_or_path, overrides)
    return str(refused.value)


def chip_line(*path: str) -> int | None:
    return read_document(CHIP).line(path)


# --- names and paths ------------------------------------------------------------------------------


def test_shipped_names() -> None:
    assert shipped_hardware() == ("eyeriss_int8", "eyeriss_isca2016", "eyeriss_rtl", "eyeriss_v1")


@pytest.mark.parametrize("name", shipped_hardware())
def test_shipped_file_loads_under_its_own_name(name: str) -> None:
    hardware = load_hardware(name)
    assert hardware.name == name
    assert "JSSC" in CHIP.read_text()
    assert any("52(1), 2017" in source for source in hardware.sources)


def test_a_path_is_as_good_as_a_name() -> None:
    assert load_hardware(str(CHIP)) == load_hardware("eyeriss_v1")


def test_a_file_without_a_suffix_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "mine", "base: eyeriss_v1\nname: mine\n")
    monkeypatch.chdir(tmp_path)
    assert load_hardware("mine").name == "mine"


def test_a_shipped_name_is_not_shadowed_by_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "eyeriss_v1", "base: eyeriss_v1\nname: impostor\n")
    monkeypatch.chdir(tmp_path)
    assert load_hardware("eyeriss_v1").name == "eyeriss_v1"


def test_unknown_name() -> None:
    known = "known: eyeriss_int8, eyeriss_isca2016, eyeriss_rtl, eyeriss_v1"
    assert refusal("eyeris_v1") == (
        f"no shipped hardware 'eyeris_v1'; did you mean 'eyeriss_v1'? {known}"
    )
    assert refusal("tpu") == f"no shipped hardware 'tpu'; {known}"
    assert refusal("") == f"no shipped hardware ''; {known}"


@pytest.mark.parametrize("name", ["n" * 5000, "a\0b"])
def test_a_name_that_no_file_can_have(name: str) -> None:
    assert refusal(name).startswith("no shipped hardware '")


def test_missing_file() -> None:
    assert refusal("nowhere/chip.yaml") == "nowhere/chip.yaml: no such file"


# --- faults of a file -----------------------------------------------------------------------------


def test_all_faults_of_a_file_stand_at_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "chip.yaml",
        """\
base: eyeriss_v1
name: chip
array:
  rows: 0
  cols: 3
limits:
  filter_rows: [1,
                x]
noc: 3
glb:
  filter_load: stream
frequency: 3
""",
    )
    assert refusal(path).splitlines() == [
        f"{path}:4: array.rows: must be 1 or more, got 0",
        f"{path}:5: array: unknown key 'cols'; did you mean 'columns'?",
        f"{path}:8: limits.filter_rows[1]: must be a whole number, got 'x'",
        f"{path}:9: noc: must be a mapping of keys to values, got 3",
        f"{path}:11: glb.filter_load: must be 'exposed', 'streamed' or 'first', got 'stream'; "
        "did you mean 'streamed'?",
        f"{path}:12: unknown key 'frequency'; known: arithmetic, array, clock, description, dram, "
        "glb, limits, name, noc, pe, schedule, sources, word_bits",
    ]


def test_a_file_without_a_base_must_be_complete(tmp_path: Path) -> None:
    path = write(tmp_path, "chip.yaml", "name: chip\narray:\n  rows: 3\n")
    assert refusal(path).splitlines() == [
        f"{path}:1: clock: missing; core and link clocks",
        f"{path}:1: pe: missing; spads, pipeline and FIFOs of a PE",
        f"{path}:1: noc: missing; widths of GIN, GON and local links",
        f"{path}:1: glb: missing; banks and ports of the global buffer",
        f"{path}:1: dram: missing; link to the off-chip memory",
        f"{path}:1: limits: missing; shapes the chip can be configured for",
        f"{path}:2: array.columns: missing; PEs in a row [P]",
    ]


@pytest.mark.parametrize("text", ["[array, pe]\n", "eyeriss\n"])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "chip.yaml", text)
    assert refusal(path).startswith(f"{path}:1: must be a mapping of keys to values, got ")


def test_all_conflicts_of_a_file_are_shown_at_once(tmp_path: Path) -> None:
    text = "base: eyeriss_v1\npe: {filter_fifo_words: 2}\ndram: {link_bits: 8}\n"
    path = write(tmp_path, "chip.yaml", text)
    assert refusal(path).splitlines() == [
        f"{path}:2: pe.filter_fifo_words: 2 words are too few: the FIFO must hold what the bus "
        "sends in a cycle (noc.gin_filter_words_per_cycle), 4 words",
        f"{path}:3: dram.link_bits: 8 bits hold no whole number of words of 16 bits",
    ]


# --- bases ----------------------------------------------------------------------------------------


def test_a_base_gives_what_the_file_leaves_out(tmp_path: Path) -> None:
    text = "base: eyeriss_v1\nname: wide\narray: {columns: 28}\nlimits: {filters: [1, 64]}\n"
    hardware = load_hardware(write(tmp_path, "wide.yaml", text))
    expected = load_hardware(
        "eyeriss_v1", ["name=wide", "array.columns=28", "limits.filters=[1, 64]"]
    )
    assert hardware == expected


def test_bases_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    write(tmp_path, "family/root.yaml", "base: eyeriss_rtl\nname: root\narray: {rows: 6}\n")
    write(tmp_path, "family/middle.yaml", "base: root.yaml\nname: middle\narray: {columns: 7}\n")
    path = write(tmp_path, "leaf.yaml", "base: family/middle.yaml\nname: leaf\n")
    hardware = load_hardware(path)
    assert (hardware.name, hardware.array.rows, hardware.array.columns) == ("leaf", 6, 7)
    assert hardware.glb.filter_load == "streamed"


def test_a_fault_points_to_the_file_that_gave_the_value(tmp_path: Path) -> None:
    base = write(
        tmp_path, "base.yaml", "base: eyeriss_v1\nname: base\npe:\n  ifmap_spad: fifo\n  depth: 1\n"
    )
    path = write(tmp_path, "chip.yaml", "base: base.yaml\nname: chip\npe:\n  psum_spad_words: 0\n")
    assert refusal(path).splitlines() == [
        f"{base}:4: pe.ifmap_spad: must be 'addressed' or 'shift', got 'fifo'",
        f"{base}:5: pe: unknown key 'depth'; known: filter_fifo_words, filter_spad_words, "
        "filter_words_per_cycle, ifmap_fifo_words, ifmap_spad, ifmap_spad_words, ifmap_wait, "
        "image_change_cycles, pipeline_stages, psum_in_fifo_words, psum_latency_cycles, "
        "psum_out_fifo_words, psum_slot_freed, psum_spad_words, start_cycles",
        f"{path}:4: pe.psum_spad_words: must be 1 or more, got 0",
    ]


def test_a_value_put_right_above_its_base_is_no_fault(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", "base: eyeriss_v1\nlimits: {filter_rows: [1, 2, 3, x]}\n")
    text = "base: base.yaml\nname: chip\nlimits: {filter_rows: [1, 3]}\n"
    path = write(tmp_path, "chip.yaml", text)
    assert load_hardware(path).limits.filter_rows == (1, 3)


def test_a_conflict_with_a_base_stands_where_the_base_gave_its_value(tmp_path: Path) -> None:
    path = write(tmp_path, "chip.yaml", "base: eyeriss_v1\nglb: {port_bits: 32}\n")
    reason = (
        "4 words of 16 bits per cycle are more than the GLB port delivers: glb.port_bits = 32, "
        "2 words"
    )
    assert refusal(path).splitlines() == [
        f"{CHIP}:{chip_line('noc', field)}: noc.{field}: {reason}"
        for field in ("gin_filter_words_per_cycle", "psum_words_per_cycle")
    ]


def test_an_emptied_section_is_refused_where_it_was_emptied(tmp_path: Path) -> None:
    path = write(tmp_path, "chip.yaml", "base: eyeriss_v1\nname: chip\narray:\n")
    assert refusal(path) == f"{path}:3: array: must be a mapping of keys to values, got nothing"


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("eyeriss", "no shipped hardware 'eyeriss'; did you mean 'eyeriss_v1'? "),
        (
            "tpu",
            "no shipped hardware 'tpu'; known: eyeriss_int8, eyeriss_isca2016, eyeriss_rtl, "
            "eyeriss_v1",
        ),
        ("3", "must be the name or path of a hardware file, got 3"),
        ("", "must be the name or path of a hardware file, got nothing"),
        ("[eyeriss_v1]", "must be the name or path of a hardware file, got a list of 1"),
    ],
)
def test_refused_base(tmp_path: Path, base: str, reason: str) -> None:
    path = write(tmp_path, "chip.yaml", f"name: chip\nbase: {base}\n")
    assert refusal(path).startswith(f"{path}:2: base: {reason}")


def test_missing_base(tmp_path: Path) -> None:
    path = write(tmp_path, "chip.yaml", "base: sub/other.yaml\n")
    assert refusal(path) == f"{path}:1: base: no such file: {tmp_path / 'sub/other.yaml'}"


def test_bases_that_lead_back(tmp_path: Path) -> None:
    first = write(tmp_path, "a.yaml", "base: b.yaml\n")
    second = write(tmp_path, "b.yaml", "name: b\nbase: a.yaml\n")
    assert refusal(first) == f"{second}:2: base: leads back to {first}, which builds on it"
    own = write(tmp_path, "c.yaml", "base: ./c.yaml\n")
    assert refusal(own) == f"{own}:1: base: leads back to {own}, which builds on it"


def test_length_of_a_chain_of_bases(tmp_path: Path) -> None:
    files = [write(tmp_path, "0.yaml", "base: eyeriss_v1\n")]
    files += [
        write(tmp_path, f"{index}.yaml", f"base: {index - 1}.yaml\n")
        for index in range(1, MAX_BASES + 1)
    ]
    # eyeriss_v1 is a base too, so the chain of MAX_BASES starts at the last file but one.
    assert load_hardware(files[-2]).name == "eyeriss_v1"
    assert refusal(files[-1]) == f"{files[0]}:1: base: is base number 5; the limit is 4"


# --- widths of words, in one number or in three ---------------------------------------------------


def test_a_part_of_the_widths_changes_where_a_base_has_one_number(tmp_path: Path) -> None:
    path = write(
        tmp_path, "c.yaml", "base: eyeriss_v1\nname: c\nword_bits: {ifmap: 8, filter: 4}\n"
    )
    hardware = load_hardware(path)
    assert hardware.word_bits == WordBits(ifmap=8, filter=4, psum=16)
    assert load_hardware(path, ["word_bits=8"]).word_bits == WordBits(ifmap=8, filter=8, psum=8)


def test_overrides_of_widths_come_in_their_order() -> None:
    settings = ["word_bits.psum=4", "word_bits=8", "word_bits.filter=2"]
    found = load_hardware("eyeriss_v1", settings).word_bits
    assert found == WordBits(ifmap=8, filter=2, psum=8)


def test_a_wrong_width_is_told_where_it_stands(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "c.yaml",
        "base: eyeriss_v1\nname: c\nword_bits:\n  ifmap: 0\n  psums: 3\n  filter: x\n",
    )
    assert refusal(path).splitlines() == [
        f"{path}:4: word_bits.ifmap: must be 1 or more, got 0",
        f"{path}:5: word_bits: unknown key 'psums'; did you mean 'psum'?",
        f"{path}:6: word_bits.filter: must be a whole number, got 'x'",
    ]
    path = write(tmp_path, "d.yaml", "base: eyeriss_v1\nname: d\nword_bits: [8, 8, 32]\n")
    message = "word_bits: must be a whole number or a mapping of ifmap, filter, psum, got a list"
    assert refusal(path).startswith(f"{path}:3: {message}")
    path = write(tmp_path, "e.yaml", "base: eyeriss_v1\nname: e\nword_bits: 99\n")
    assert refusal(path, "word_bits.psum=8").splitlines() == [
        f"{path}:3: word_bits.ifmap: must be 64 or less, got 99",
        f"{path}:3: word_bits.filter: must be 64 or less, got 99",
    ]


# --- overrides ------------------------------------------------------------------------------------


def test_overrides() -> None:
    hardware = load_hardware(
        "eyeriss_rtl",
        [
            "array.rows=24",
            " clock.core_mhz = 250.5",
            "arithmetic.psum_bits=16",
            "dram.rlc=false",
            "limits.vertical_strides=[1, 3]",
            "description=two words",
            "sources=[a, b]",
        ],
    )
    assert hardware.array.rows == 24
    assert hardware.clock.core_mhz == 250.5
    assert hardware.arithmetic.psum_bits == 16
    assert hardware.dram.rlc is False
    assert hardware.limits.vertical_strides == (1, 3)
    assert hardware.description == "two words"
    assert hardware.sources == ("a", "b")


def test_the_last_override_of_a_field_counts() -> None:
    overrides = [
        "arithmetic.psum_bits=16",
        "arithmetic.psum_bits=null",
        "array.rows=x",
        "array.rows=3",
    ]
    hardware = load_hardware("eyeriss_v1", overrides)
    assert hardware.arithmetic.psum_bits is None
    assert hardware.array.rows == 3


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        (
            "array.rwos=24",
            "no hardware field 'array.rwos'; did you mean 'array.rows'? "
            "known: array.rows, array.columns, array.first_channel_set",
        ),
        ("pe.banks=3", "no hardware field 'pe.banks'; did you mean 'glb.banks'?"),
        ("arry.rows=3", "no hardware field 'arry.rows'; did you mean 'array.rows'?"),
        ("clock.x=3", "no hardware field 'clock.x'; known: clock.core_mhz, clock.link_mhz"),
        (
            "cache.ways=3",
            "no hardware field 'cache.ways'; known: name, description, sources, word_bits, clock, "
            "array, pe, noc, glb, dram, arithmetic, schedule, limits",
        ),
        ("array.rows", "must be a field and a value: array.rows=24"),
        ("=24", "must be a field and a value: array.rows=24"),
        ("", "must be a field and a value: array.rows=24"),
        ("array.rows=", "must be a whole number, got nothing"),
        ("name={a: 3}", "the value must be a single value or a list"),
    ],
)
def test_refused_override(override: str, reason: str) -> None:
    assert refusal("eyeriss_v1", override) == f"--set {override}: {reason}"


def test_refused_override_that_is_no_yaml() -> None:
    # The rest of the sentence is the YAML library's, and differs between its two parsers.
    override = "limits.filters=[1, 3"
    assert refusal("eyeriss_v1", override).startswith(f"--set {override}: not valid YAML: ")


def test_a_base_that_is_no_mapping(tmp_path: Path) -> None:
    base = write(tmp_path, "base.yaml", "- 1\n")
    path = write(tmp_path, "chip.yaml", "base: base.yaml\n")
    reason = "must be a mapping of keys to values, got a list of 1"
    assert refusal(path, "array.rows=3") == f"{base}:1: {reason}"


def test_a_base_with_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    path = write(tmp_path, "chip.yaml", 'base: "a\\0b.yaml"\n')
    assert refusal(path).startswith(f"{path}:1: base: no such file: '")


def test_an_override_cannot_smuggle_in_a_second_value() -> None:
    assert refusal("eyeriss_v1", "array.rows=3\n- 4") == (
        "--set 'array.rows=3\\n- 4': the value must be a single value or a list"
    )


def test_faults_of_files_and_overrides_are_shown_at_once(tmp_path: Path) -> None:
    text = "base: eyeriss_v1\nname: chip\narray: 3\npe:\n  psum_spad_words: 0\n"
    path = write(tmp_path, "chip.yaml", text)
    overrides = ("array.rows=2", "glb.bank=3", "dram.overlap=some")
    assert refusal(path, *overrides).splitlines() == [
        "--set glb.bank=3: no hardware field 'glb.bank'; did you mean 'glb.banks'? known: "
        "glb.banks, glb.bank_bytes, glb.filter_banks, glb.port_bits, glb.filter_load",
        "--set dram.overlap=some: must be 'none', 'ifmap' or 'full', got 'some'",
        f"{path}:3: array: must be a mapping of keys to values, got 3",
        f"{path}:5: pe.psum_spad_words: must be 1 or more, got 0",
    ]


def test_faults_of_overrides_are_shown_beside_an_unreadable_file() -> None:
    assert refusal("nowhere.yaml", "array.rwos=1").splitlines() == [
        "--set array.rwos=1: no hardware field 'array.rwos'; did you mean 'array.rows'? "
        "known: array.rows, array.columns, array.first_channel_set",
        "nowhere.yaml: no such file",
    ]


def test_an_override_may_give_what_a_file_lacks(tmp_path: Path) -> None:
    text = CHIP.read_text().replace("  rows: 12 ", "  # no rows")
    path = write(tmp_path, "chip.yaml", text)
    array_line = read_document(path).line(("array",))
    assert refusal(path) == f"{path}:{array_line}: array.rows: missing; PEs in a column [P]"
    assert load_hardware(path, ["array.rows=6"]).array.rows == 6
