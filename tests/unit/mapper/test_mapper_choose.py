"""Which mapping a layer gets: published, alternative, auto, given by hand or from a file."""

from pathlib import Path

import pytest

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.dataflow.row_stationary.mapping import Mapping, checked_mapping, glb_banks
from sim.errors import InputError, MappingError
from sim.mapper.auto import auto_mapping
from sim.mapper.choose import Choice, choose_mappings, shipped_mappings
from sim.run import estimate, prepare
from workloads.layer import Layer
from workloads.network import Network, load_network

CHIP = load_hardware("eyeriss_v1")
ALEXNET = load_network("alexnet")
CONV3 = ALEXNET.layer("CONV3")


def choose(
    spec: str | None, *names: str, settings: tuple[str, ...] = ()
) -> list[Choice | MappingError]:
    hw = load_hardware("eyeriss_v1", settings)
    return choose_mappings(spec, "alexnet", ALEXNET.select(names), 4, hw)


def test_published() -> None:
    assert choose("published", "CONV3") == [
        Choice(Mapping(m=64, n=4, e=13, p=16, q=4, r=1, t=4), "published")
    ]


@pytest.mark.parametrize(
    ("settings", "differs"),
    [
        (("array.rows=32", "array.columns=32"), "an array of 32 x 32"),
        (("glb.banks=50", "pe.psum_spad_words=32"), "pe.psum_spad_words = 32, glb.banks = 50"),
    ],
)
def test_published_mappings_are_for_their_chip_unless_the_user_names_them(
    settings: tuple[str, ...], differs: str
) -> None:
    hw = load_hardware("eyeriss_v1", settings)
    (found,) = choose(None, "CONV3", settings=settings)
    assert found == Choice(
        auto_mapping(CONV3, 4, hw),
        "auto",
        f"the mappings made for eyeriss_v1 do not apply to {differs}: took auto; "
        "--mapping published forces them",
    )
    (forced,) = choose("published", "CONV3", settings=settings)
    assert forced == Choice(
        Mapping(m=64, n=4, e=13, p=16, q=4, r=1, t=4),
        "published",
        f"took the mappings made for eyeriss_v1 although this chip has {differs}",
    )


@pytest.mark.parametrize(
    "setting",
    [
        "pe.ifmap_fifo_words=64",
        "clock.link_mhz=200",
        "noc.psum_words_per_cycle=2",
        "dram.rlc=false",
    ],
)
def test_published_mappings_hold_where_the_room_is_the_same(setting: str) -> None:
    (found,) = choose(None, "CONV3", settings=(setting,))
    assert found == Choice(Mapping(m=64, n=4, e=13, p=16, q=4, r=1, t=4), "published")


def test_a_larger_array_gains_without_a_word_on_mappings() -> None:
    large = load_hardware("eyeriss_v1", ["array.rows=32", "array.columns=32"])
    conv = [layer.name for layer in ALEXNET.layers if layer.kind == "conv"]
    small, found = estimate("alexnet", layers=conv), estimate("alexnet", layers=conv, hw=large)
    assert 2 * found.total_cycles < small.total_cycles
    assert len(found.notes) == 1  # of the run, not of each layer


def test_a_file_of_the_users_may_name_its_chip(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    layers = "layers:\n  CONV3: {m: 4, n: 1, e: 13, p: 4, q: 1, r: 1, t: 1}\n"
    file.write_text(f"chip: eyeriss_isca2016\n{layers}", encoding="utf-8")
    (found,) = choose(str(file), "CONV3")
    assert isinstance(found, Choice)
    assert found.note.startswith("took the mappings made for eyeriss_isca2016 although this chip")
    file.write_text(f"chip: eyeriss_v2\n{layers}", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine.yaml:1: chip: no shipped hardware 'eyeriss_v2'"):
        choose(str(file), "CONV3")


def test_a_file_may_cut_the_columns(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    layers = "layers:\n  CONV3: {n: 1, e: 13, f: 7, p: 4, q: 1, r: 1, t: 1}\n"
    file.write_text(layers, encoding="utf-8")
    (found,) = choose(str(file), "CONV3")
    assert isinstance(found, Choice)
    # 20 banks beside the strip hold 404 filters of 13 x 7 psums, so all 384.
    assert str(found.mapping) == "m=384,n=1,e=13,f=7,p=4,q=1,r=1,t=1"
    file.write_text(layers.replace("f: 7", "f: 0"), encoding="utf-8")
    with pytest.raises(InputError, match=r"mine.yaml:2: layers.CONV3.f: .* 1"):
        choose(str(file), "CONV3")


def test_alternative_where_there_is_one() -> None:
    conv3, conv4 = choose("alternative", "CONV3", "CONV4")
    assert isinstance(conv3, Choice)
    assert isinstance(conv4, Choice)
    assert conv3.mapping == conv4.mapping == Mapping(m=64, n=4, e=13, p=16, q=3, r=2, t=2)


def test_published_falls_back_to_auto_and_says_so() -> None:
    layer = ALEXNET.layer("FC8")
    assert choose("published", "FC8") == [
        Choice(auto_mapping(layer, 4, CHIP), "auto", "FC8: no published mapping, took auto")
    ]


def test_a_mapping_given_by_hand_is_for_all_layers() -> None:
    given = Choice(Mapping(m=1, n=1, e=1, p=1, q=1, r=1, t=1), "given")
    assert choose("m=1,n=1,e=1,p=1,q=1,r=1,t=1", "CONV1", "CONV3") == [given, given]


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        (
            "publishd",
            "--mapping: 'publishd' is not published, alternative, auto, a file or m=..,n=..,..; "
            "did you mean 'published'?",
        ),
        (
            "xyz",
            "--mapping: 'xyz' is not published, alternative, auto, a file or m=..,n=..,..",
        ),
        ("none/such.yaml", "none/such.yaml: no such file"),
    ],
)
def test_refusals(spec: str, refusal: str) -> None:
    with pytest.raises(InputError) as caught:
        choose(spec, "CONV3")
    assert str(caught.value) == refusal


def test_a_file_of_the_users(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("layers:\n  CONV3: {n: 4, e: 13, p: 16, q: 3, r: 2, t: 2}\n", encoding="utf-8")
    (found,) = choose(str(file), "CONV3")
    # m is the largest that fits: 22 banks of 2048 words / (4*13*13 psums a filter) = 66, so 64.
    assert found == Choice(Mapping(m=64, n=4, e=13, p=16, q=3, r=2, t=2), "user")


def test_a_mapping_of_which_no_m_fits_is_refused_at_its_line(tmp_path: Path) -> None:
    """64 filters at once leave 4*64*13*13 psums in the GLB: 22 banks, and the ifmap takes 12."""
    file = tmp_path / "mine.yaml"
    file.write_text("layers:\n  CONV3: {n: 4, e: 13, p: 16, q: 4, r: 4, t: 4}\n", encoding="utf-8")
    (found,) = choose(str(file), "CONV3")
    assert isinstance(found, MappingError)
    assert str(found) == (
        f"{file}:2: layers.CONV3: no m is small enough: the psums of one block of p*t filters do "
        "not fit the GLB of eyeriss_v1; lower n, e, p or t"
    )


@pytest.mark.parametrize("spec", ["x" * 5000, "a\0b"])
def test_what_cannot_be_a_path_is_no_file(spec: str) -> None:
    with pytest.raises(InputError, match="is not published, alternative, auto, a file or"):
        choose(spec, "CONV3")


def test_a_wrong_file_has_every_fault_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "layers:\n"
        "  CONV33: {n: 4, e: 13, p: 16, q: 3, r: 2, t: 2}\n"
        "  CONV4: {n: 4, e: 13, p: 16, q: 3, r: 2, t: 2}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError) as caught:
        choose(str(file), "CONV3", "CONV4")
    assert str(caught.value).splitlines() == [
        f"{file}:1: layers: no mapping for CONV3",
        f"{file}:2: layers.CONV33: is not a layer of the network; did you mean 'CONV3'?",
    ]


def test_a_file_of_a_whole_network_serves_a_few_of_its_layers(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    factors = "{m: 4, n: 1, e: 13, p: 4, q: 1, r: 1, t: 1}"
    file.write_text(f"layers:\n  CONV3: {factors}\n  CONV4: {factors}\n", encoding="utf-8")
    for layers in (["CONV3"], ["CONV3", "CONV4"]):
        found = estimate("alexnet", layers=layers, mapping=str(file))
        assert [layer.mapping_source for layer in found.layers] == ["user"] * len(layers)
    file.write_text(f"layers:\n  CONV3: {factors}\n  CONV44: {factors}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"CONV44: is not a layer of the network; did you mean"):
        estimate("alexnet", layers=["CONV3"], mapping=str(file))


@pytest.mark.parametrize("network", ["alexnet", "vgg16"])
def test_shipped_mappings_are_legal_and_name_layers_that_exist(network: str) -> None:
    book = shipped_mappings(network)
    assert book is not None
    shapes = load_network(network)
    for name in book.names():
        layer = shapes.layer(name)
        found = book.find(layer, shapes.batch, CHIP)
        assert found is not None
        assert checked_mapping(layer, found, shapes.batch, CHIP) == found


def test_no_mappings_for_a_network_of_the_users() -> None:
    assert shipped_mappings("resnet50") is None
    assert shipped_mappings("../../etc/passwd") is None


class TestRoomAhead:
    """What `dram.overlap` loads or leaves ahead needs room of its own (docs/machine.md 8)."""

    @pytest.mark.parametrize(
        ("overlap", "words"),
        [
            # CONV3: 2 banks of ifmap and 22 of psums; strips of 3,600 words, m-blocks of 43,264.
            ("ifmap", "26, limit 25: 4 for two ifmap strips (2*n*q*r*rows*Wp words) and 22 for"),
            ("full", "47, limit 25: 4 for two ifmap strips (2*n*q*r*rows*Wp words) and 43 for"),
        ],
    )
    def test_without_room_a_named_mapping_is_refused_and_another_one_gives_way(
        self, overlap: str, words: str
    ) -> None:
        hw = load_hardware("eyeriss_v1", [f"dram.overlap={overlap}"])
        named = prepare("alexnet", layers=["CONV3"], hw=hw, mapping="published")
        assert named.plans == ()
        (reason,) = named.refused[0].reasons
        assert reason.startswith(f"GLB banks = {words} resident psums")
        assert f"which dram.overlap={overlap} holds at once" in reason
        found = prepare("alexnet", layers=["CONV3"], hw=hw)
        assert found.plans[0].mapping_source == "auto"
        assert found.notes == (
            "CONV3: its shipped mapping leaves no room for what "
            f"dram.overlap={overlap} holds ahead, took auto",
        )

    def test_one_strip_and_one_m_block_need_no_second(self) -> None:
        hw = load_hardware("eyeriss_v1", ["dram.overlap=full"])
        whole = "m=16,n=1,e=14,p=16,q=1,r=1,t=1"
        layer = Layer(name="L", M=16, C=1, H=16, W=16, R=3, S=3)  # 3,136 psums: 2 banks of 2,048
        one = prepare(Network("n", 1, (layer,)), hw=replace_banks(hw, 3), mapping=whole)
        assert one.refused == ()
        two = prepare(Network("n", 2, (layer,)), hw=replace_banks(hw, 3), mapping=whole)
        assert "GLB banks = 5, limit 3: 1 for two ifmap strips" in two.refused[0].reasons[0]
        assert "4 for resident psums of two m-blocks" in two.refused[0].reasons[0]

    @pytest.mark.parametrize("network", ["lenet5", "alexnet"])
    def test_the_mapper_obeys(self, network: str) -> None:
        for overlap in ("ifmap", "full"):
            hw = load_hardware("eyeriss_v1", [f"dram.overlap={overlap}"])
            found = prepare(network, hw=hw, mapping="auto")
            assert found.refused == ()
            assert all(sum(glb_banks(p.layer, p.mapping, p.batch, hw)) <= 25 for p in found.plans)


def replace_banks(hw: Hardware, banks: int) -> Hardware:
    return hw.model_copy(update={"glb": hw.glb.model_copy(update={"banks": banks})})
