"""Layer shapes: the formulas of docs/machine.md section 1, and every shape that is refused."""

import json
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workloads.layer import Kind, Layer, ShapeError, layer_from_dict, layer_to_dict


def make(**changes: Any) -> Layer:
    shape: dict[str, Any] = {"name": "L", "M": 4, "C": 2, "H": 6, "W": 8, "R": 3, "S": 5}
    return Layer(**{**shape, **changes})


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    small = st.integers(1, 12)
    pad = st.integers(0, 3)
    G = draw(small)
    kinds: tuple[Kind, ...] = ("conv", "depthwise", "fc")
    kind = draw(st.sampled_from(kinds))
    H, W = draw(small), draw(small)
    pads = {name: draw(pad) for name in ("pad_top", "pad_bottom", "pad_left", "pad_right")}
    rows = H + pads["pad_top"] + pads["pad_bottom"]
    columns = W + pads["pad_left"] + pads["pad_right"]
    fraction = st.none() | st.floats(0, 1)
    return Layer(
        name=draw(st.text("abc-_ 1é", min_size=1).map(str.strip).filter(bool)),
        kind=kind,
        G=G,
        M=G * draw(small),
        C=1 if kind == "depthwise" else draw(small),
        H=H,
        W=W,
        R=rows if kind == "fc" else draw(st.integers(1, rows)),
        S=columns if kind == "fc" else draw(st.integers(1, columns)),
        U=draw(small),
        V=draw(small),
        **pads,
        ifmap_zero_fraction=draw(fraction),
        ofmap_zero_fraction=draw(fraction),
        zero_fraction_source=draw(st.sampled_from((None, "published", "assumed"))),
    )


def touched(size: int, taps: int, stride: int) -> list[set[int]]:
    """For each window along one dimension, the positions it reads."""
    starts = range(0, size - taps + 1, stride)
    return [set(range(start, start + taps)) for start in starts]


def test_readings_of_a_product_are_the_same_work_in_other_rows_and_columns() -> None:
    product = make(kind="gemm", H=12, W=1, R=1, S=1)
    assert [(layer.E, layer.F) for layer in product.readings] == [
        (12, 1), (6, 2), (4, 3), (3, 4), (2, 6), (1, 12),
    ]  # fmt: skip
    for layer in product.readings:
        assert layer.macs_per_image == product.macs_per_image
        assert layer.readings == product.readings
        assert layer_from_dict(layer_to_dict(layer)) == layer
    assert make().readings == (make(),)


@given(layers())
def test_ofmap_and_touched_ifmap_are_those_of_sliding_the_windows(layer: Layer) -> None:
    rows = touched(layer.padded_rows, layer.R, layer.U)
    columns = touched(layer.padded_columns, layer.S, layer.V)
    assert (len(rows), len(columns)) == (layer.E, layer.F)
    for e in range(1, layer.E + 1):
        assert layer.ifmap_rows(e) == len(set().union(*rows[:e]))
    assert layer.ifmap_columns == len(set().union(*columns))
    words = len(set().union(*rows)) * len(set().union(*columns)) * layer.C * layer.G
    assert layer.ifmap_words == words
    products = len(rows) * len(columns) * layer.R * layer.S * layer.C * layer.Mg * layer.G
    assert layer.macs_per_image == products
    assert layer.macs(3) == 3 * products
    assert layer.filter_words == layer.M * layer.C * layer.R * layer.S
    assert layer.ofmap_words == layer.M * len(rows) * len(columns)


@given(layers())
def test_a_layer_survives_json(layer: Layer) -> None:
    assert layer_from_dict(json.loads(json.dumps(layer_to_dict(layer)))) == layer


@given(layers(), st.sampled_from(("E", "F")), st.integers(-5, 20))
def test_a_derived_size_that_contradicts_the_shape_is_refused(
    layer: Layer, symbol: str, wrong: int
) -> None:
    values = layer_to_dict(layer)
    right = values[symbol]
    assume(wrong != right)
    with pytest.raises(ValueError, match="must be") as caught:
        layer_from_dict({**values, symbol: wrong})
    assert str(caught.value) == f"layer {layer.name!r}: {symbol}: must be {right}, got {wrong}"


def test_the_dict_of_a_layer_has_the_symbols_in_order() -> None:
    assert layer_to_dict(make(U=2, pad_top=1, ifmap_zero_fraction=0.5)) == {
        "name": "L",
        "kind": "conv",
        "G": 1,
        "M": 4,
        "C": 2,
        "H": 6,
        "W": 8,
        "R": 3,
        "S": 5,
        "U": 2,
        "V": 1,
        "pad_top": 1,
        "pad_bottom": 0,
        "pad_left": 0,
        "pad_right": 0,
        "ifmap_zero_fraction": 0.5,
        "ofmap_zero_fraction": None,
        "zero_fraction_source": None,
        "network_input": False,
        "E": 3,
        "F": 4,
    }


def test_a_dict_with_missing_or_unknown_keys_is_refused() -> None:
    values = layer_to_dict(make())
    with pytest.raises(ValueError, match="unexpected") as caught:
        layer_from_dict({**values, "stride": 1})
    assert str(caught.value) == "layer 'L': got an unexpected keyword argument 'stride'"
    del values["M"]
    with pytest.raises(ValueError, match="missing") as caught:
        layer_from_dict(values)
    assert str(caught.value) == "layer 'L': missing 1 required keyword-only argument: 'M'"


def test_rows_between_windows_are_never_touched_where_the_stride_exceeds_the_filter() -> None:
    # The stride-2 1x1 convolutions of ResNet-50: 28 of 56 rows.
    layer = make(H=56, W=56, R=1, S=1, U=2, V=2)
    assert (layer.E, layer.ifmap_rows(1), layer.ifmap_rows(28), layer.ifmap_columns) == (
        28,
        1,
        28,
        28,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"M": 0}, "M: must be 1 or more, got 0"),
        ({"C": -1}, "C: must be 1 or more, got -1"),
        ({"H": 65537}, "H: must be 65536 or less, got 65537"),
        ({"W": 8.0}, "W: must be a whole number, got 8.0"),
        ({"R": True}, "R: must be a whole number, got True"),
        ({"S": "5"}, "S: must be a whole number, got '5'"),
        ({"U": 0}, "U: must be 1 or more, got 0"),
        ({"V": 0}, "V: must be 1 or more, got 0"),
        ({"G": 0}, "G: must be 1 or more, got 0"),
        ({"pad_top": -1}, "pad_top: must be 0 or more, got -1"),
        ({"pad_right": 65537}, "pad_right: must be 65536 or less, got 65537"),
        ({"G": 3}, "M: must be a multiple of the 3 groups, got 4"),
        ({"R": 7}, "R: must not exceed the 6 rows of the padded ifmap, got 7"),
        (
            {"S": 12, "pad_left": 1, "pad_right": 2},
            "S: must not exceed the 11 columns of the padded ifmap, got 12",
        ),
        (
            {"kind": "depthwise"},
            "C: must be 1 in each group of a depthwise layer, got 2",
        ),
        (
            {"kind": "fc", "S": 8, "pad_top": 1},
            "R: must be the 7 rows of the padded ifmap in fc, got 3",
        ),
        ({"kind": "fc", "R": 6}, "S: must be the 8 columns of the padded ifmap in fc, got 5"),
        (
            {"kind": "gemm", "R": 1, "S": 1, "U": 2, "pad_left": 1},
            "U: must be 1 in gemm, got 2\nlayer 'L': pad_left: must be 0 in gemm, got 1",
        ),
        ({"kind": "pool"}, "kind: must be one of conv, depthwise, fc, gemm, got 'pool'"),
        ({"ifmap_zero_fraction": 1.01}, "ifmap_zero_fraction: must be between 0 and 1, got 1.01"),
        (
            {"ofmap_zero_fraction": float("nan")},
            "ofmap_zero_fraction: must be between 0 and 1, got nan",
        ),
        (
            {"zero_fraction_source": "guess"},
            "zero_fraction_source: must be published, assumed or left out",
        ),
        (
            {"M": 16384, "C": 16384, "H": 256, "W": 256, "R": 1, "S": 1},
            "macs_per_image: must be 10000000000000 or less, got 17592186044416",
        ),
        (
            {"M": 1, "C": 1, "H": 65536, "W": 65536, "R": 2, "S": 1, "U": 4, "V": 4},
            "words: must be 1073741824 or less in the padded ifmap, got 4294967296",
        ),
        (
            {"M": 65536, "C": 65536, "H": 1, "W": 1, "R": 1, "S": 1},
            "words: must be 1073741824 or less in the filters, got 4294967296",
        ),
        (
            {"M": 65536, "C": 1, "H": 256, "W": 256, "R": 1, "S": 1},
            "words: must be 1073741824 or less in the ofmap, got 4294967296",
        ),
    ],
)
def test_an_impossible_shape_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        make(**changes)
    assert str(caught.value) == f"layer 'L': {message}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "must be printable text without spaces around it, got ''"),
        (" L", "must be printable text without spaces around it, got ' L'"),
        ("\x1b[31m", r"must be printable text without spaces around it, got '\x1b[31m'"),
        ("x" * 201, "must have 200 characters or fewer, got 201"),
    ],
)
def test_a_name_that_would_spoil_tables_and_terminals_is_refused(name: str, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        make(name=name)
    assert caught.value.problems == (("name", message),)


def test_all_problems_of_a_layer_are_told_at_once_and_survive_a_process_boundary() -> None:
    with pytest.raises(ShapeError) as caught:
        make(M=0, U=-1, pad_left=-2)
    error = pickle.loads(pickle.dumps(caught.value))
    assert str(error) == (
        "layer 'L': M: must be 1 or more, got 0\n"
        "layer 'L': U: must be 1 or more, got -1\n"
        "layer 'L': pad_left: must be 0 or more, got -2"
    )
    assert error.problems == caught.value.problems


def test_importing_a_layer_loads_neither_pydantic_nor_yaml() -> None:
    code = "import sys, workloads.layer; print({'pydantic', 'yaml'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
