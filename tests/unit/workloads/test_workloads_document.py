"""Reading YAML: every refusal with file, line, field and words."""

import os
import pickle
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

import workloads.inputs.document as module
from workloads.inputs.document import Document, parse_document, read_document
from workloads.inputs.faults import Fault, InputError
from workloads.inputs.models import validate
from workloads.inputs.words import closest, field_name, unknown_name


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_document(text, "f.yaml")
    return str(caught.value)


# --- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (
            Fault("a.yaml", 12, "layers[3].stride", "too big"),
            "a.yaml:12: layers[3].stride: too big",
        ),
        (Fault("a.yaml", None, "x", "too big"), "a.yaml: x: too big"),
        (Fault("a.yaml", 1, "", "too big"), "a.yaml:1: too big"),
        (Fault("", None, "", "too big"), "too big"),
    ],
)
def test_a_fault_leaves_out_what_it_does_not_know(fault: Fault, text: str) -> None:
    assert str(fault) == text


def test_an_input_error_keeps_its_faults_across_a_process_boundary() -> None:
    error = InputError(Fault("a", 1, "b", "c"), Fault("d", None, "", "e"))
    copy = pickle.loads(pickle.dumps(error))
    assert copy.faults == error.faults
    assert str(copy) == "a:1: b: c\nd: e"


def test_a_field_name_cannot_carry_an_escape_sequence() -> None:
    assert field_name(("layers", 3, "stride", 0)) == "layers[3].stride[0]"
    assert field_name(("a", "\x1b[31m")) == r"a.'\x1b[31m'"


# --- plain scalars ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("", None),
        ("~", None),
        ("null", None),
        ("0", 0),
        ("-12", -12),
        ("+5", 5),
        ("0x10", "0x10"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e-3", 0.001),
        ("0.10", 0.1),
        ("'010'", "010"),
        ('"true"', "true"),
        ("|\n  12\n", "12\n"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = parse_document(f"a: {text}", "f.yaml").data
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)  # True == 1


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # what YAML allows of Unicode, without the surrogates and the control characters
    | st.text(st.characters(exclude_categories=("Cs", "Cc"), max_codepoint=0xFFFD)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc01", min_size=1), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(("a", "b", "c d")), json_values, min_size=1))
def test_what_yaml_writes_is_read_back(data: dict[str, object]) -> None:
    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    # Quoted text and keys: the dumper decides by YAML 1.1 what is safe to leave plain.
    Dumper.add_representer(
        str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    )
    assert parse_document(yaml.dump(data, Dumper=Dumper), "f.yaml").data == data


# --- lines ------------------------------------------------------------------------------------


def test_every_value_has_the_line_of_its_key_or_element() -> None:
    document = parse_document("a:\n  - 1\n  - b: x\n    c:\n\n      [7]\n", "f.yaml")
    assert document.data == {"a": [1, {"b": "x", "c": [7]}]}
    lines = {
        (): 1,
        ("a",): 1,
        ("a", 0): 2,
        ("a", 1): 3,
        ("a", 1, "b"): 3,
        ("a", 1, "c"): 4,
        ("a", 1, "c", 0): 6,
        # what does not exist stands where its nearest parent does
        ("a", 1, "d"): 3,
        ("a", 9, "d"): 1,
        ("a", 1, "c", 0, "z"): 6,
        ("nothing",): 1,
    }
    assert {path: document.line(path) for path in lines} == lines


# --- refusals of the text ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yaml: is empty"),
        ("# nothing\n", "f.yaml: is empty"),
        ("---\n", "f.yaml: is empty"),
        ("~", "f.yaml: is empty"),
        (
            "a: 1\n---\nb: 2\n",
            "f.yaml:2: holds more than one YAML document; write one file for each",
        ),
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: a: is given twice, first in line 1"),
        ("x:\n - {a: 1, 'a': 2}", "f.yaml:2: x[0].a: is given twice, first in line 2"),
        ("1: a", "f.yaml:1: key 1 is not text; quote it"),
        ("x: {true: a}", "f.yaml:1: x: key true is not text; quote it"),
        ("x: {null: a}", "f.yaml:1: x: key null is not text; quote it"),
        ("? [a]\n: 1", "f.yaml:1: a key must be text, not a list, mapping or alias"),
        ("a: !!int 3", "f.yaml:1: a: tag '!!int' is not allowed"),
        ("!!map {a: 1}", "f.yaml:1: tag '!!map' is not allowed"),
        (
            "a: !!python/name:os.system x",
            "f.yaml:1: a: tag '!!python/name:os.system' is not allowed",
        ),
        ("!x a: 1", "f.yaml:1: tag '!x' is not allowed"),
        ("a: &b 1", "f.yaml:1: a: anchor &b is not allowed; repeat the value"),
        ("&b a: 1", "f.yaml:1: anchor &b is not allowed; repeat the value"),
        ("a: *b", "f.yaml:1: a: alias *b is not allowed; repeat the value"),
        (
            "a: &b [1]\nc:\n- *b\n",
            "f.yaml:1: a: anchor &b is not allowed; repeat the value\n"
            "f.yaml:3: c[0]: alias *b is not allowed; repeat the value",
        ),
        ("a: .inf", "f.yaml:1: a: must be a finite number, got .inf"),
        ("a: -.INF", "f.yaml:1: a: must be a finite number, got -.INF"),
        ("a: .NaN", "f.yaml:1: a: must be a finite number, got .NaN"),
        ("a: 1e999", "f.yaml:1: a: must be a finite number, got 1e999"),
        ("a: 010", "f.yaml:1: a: 010 starts with a zero; write 10, or '010' for text"),
        ("a: -007", "f.yaml:1: a: -007 starts with a zero; write -7, or '-007' for text"),
        ("a: 00", "f.yaml:1: a: 00 starts with a zero; write 0, or '00' for text"),
        ("a: " + "9" * 65, "f.yaml:1: a: a number of 65 characters is too long"),
        ("[" * 33 + "]" * 33, "f.yaml:1: [0]: nested deeper than 32 levels"),
        ("a: 1\nb: \x01", "f.yaml:2: holds a character that YAML does not allow"),
        ("a: \ud800", "f.yaml: is not UTF-8 text"),
        ("#" * (1 << 20) + "#", "f.yaml: is larger than the limit of 1048576 bytes"),
    ],
)
def test_a_text_that_is_refused(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize(
    ("text", "line"), [("a: [1", 1), ("a: b: c", 1), ("a: 1\n\tb: 2", 2), ("a: {\n]", 2)]
)
def test_a_syntax_error_names_its_line(text: str, line: int) -> None:
    # The rest is the YAML library's, and differs between its C and its Python parser.
    assert refusal(text).startswith(f"f.yaml:{line}: not valid YAML: ")


def test_the_deepest_nesting_allowed_is_read() -> None:
    text = "[" * 32 + "]" * 32
    assert str(parse_document(text, "f.yaml").data) == text


def test_a_million_brackets_are_refused_at_the_first_that_is_too_deep() -> None:
    assert refusal("[" * 1_000_000) == "f.yaml:1: [0]: nested deeper than 32 levels"


def test_a_hostile_file_gets_a_bounded_answer() -> None:
    assert len(refusal("- *a\n" * 200_000).splitlines()) == 100


def test_the_python_parser_refuses_and_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_Loader", yaml.SafeLoader)
    assert parse_document("a: [1, no]\nb: 'x'", "f.yaml").data == {"a": [1, "no"], "b": "x"}
    assert refusal("a: !!int 3\nb: *c") == (
        "f.yaml:1: a: tag '!!int' is not allowed\n"
        "f.yaml:2: b: alias *c is not allowed; repeat the value"
    )
    assert refusal("a: 1\nb: \x01") == "f.yaml:2: holds a character that YAML does not allow"
    assert refusal('a: "\\ud800"') == (
        "f.yaml:1: a: holds half of a surrogate pair, which is no character"
    )
    assert refusal("[" * 1000) == "f.yaml:1: [0]: nested deeper than 32 levels"


# --- refusals of the file ---------------------------------------------------------------------


def file_refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        read_document(path)
    return str(caught.value)


def test_a_file_is_read_with_the_name_the_user_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\r\n")
    monkeypatch.chdir(tmp_path)
    document = read_document("f.yaml")
    assert (document.file, document.data) == ("f.yaml", {"a": "é"})


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    assert file_refusal(missing) == f"{missing}: no such file"
    assert file_refusal(tmp_path) == f"{tmp_path}: is a directory, not a YAML file"
    inside = tmp_path / "file"
    inside.write_text("a: 1")
    assert file_refusal(inside / "x") == f"{inside / 'x'}: cannot be read: Not a directory"
    assert file_refusal("a\0b") == r"a\x00b: cannot be read: its name holds a null character"
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: 1\nb: \xe9\n")
    assert file_refusal(latin) == f"{latin}:2: is not UTF-8 text"
    large = tmp_path / "large.yaml"
    with large.open("wb") as stream:
        stream.truncate(1 << 40)  # sparse: reading it whole would take the machine down
    assert file_refusal(large) == f"{large}: is larger than the limit of 1048576 bytes"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert file_refusal(pipe) == f"{pipe}: is not a regular file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("a: 1")
    secret.chmod(0)
    assert file_refusal(secret) == f"{secret}: cannot be read: Permission denied"


# --- validation -------------------------------------------------------------------------------


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Mode(Enum):
    SHIFT = "shift"
    ADDRESSED = "addressed"


class Leaf(Strict):
    stride: int = Field(default=1, ge=1, le=12)
    size: int | tuple[int, int] = 1
    share: float = Field(default=0.5, gt=0, lt=1)
    kind: Literal["conv", "fc"] = "conv"
    mode: Mode = Mode.SHIFT
    on: bool = False
    word: str = Field(default="ab", min_length=1, max_length=3, pattern="^[a-z]*$")
    even: int = Field(default=2, multiple_of=2)
    filters: int = Field(description="number of filters")


class Square(Strict):
    shape: Literal["square"]
    side: int


class Disc(Strict):
    shape: Literal["disc"]
    radius: int


class Tree(Strict):
    leaves: list[Leaf] = Field(default=[], max_length=3)
    named: dict[str, Leaf] = {}
    maybe: Leaf | None = None
    figure: Annotated[Square | Disc, Field(discriminator="shape")] | None = None
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _ordered(self) -> "Tree":
        if self.low > self.high:
            raise ValueError(f"low must not exceed high ({self.high}), got {self.low}")
        return self


def faults(text: str, at: tuple[str | int, ...] = ()) -> str:
    with pytest.raises(InputError) as caught:
        validate(Tree if not at else Leaf, parse_document(text, "f.yaml"), at)
    return str(caught.value)


def test_a_document_becomes_a_model() -> None:
    text = "leaves: [{filters: 3, size: [1, 2], share: 0.25, mode: addressed}]\nhigh: 7"
    tree = validate(Tree, parse_document(text, "f.yaml"))
    leaf = Leaf(filters=3, size=(1, 2), share=0.25, mode=Mode.ADDRESSED)
    assert tree == Tree(leaves=[leaf], high=7)


def test_a_part_and_data_from_elsewhere_are_checked_at_their_place() -> None:
    document = parse_document("x: 1\nnamed:\n  a:\n    filters: 2\n", "f.yaml")
    assert validate(Leaf, document, ("named", "a")) == Leaf(filters=2)
    with pytest.raises(InputError) as caught:
        validate(Leaf, document, ("named", "a"), data={"filters": "no"})
    assert str(caught.value) == "f.yaml:4: named.a.filters: must be a whole number, got 'no'"
    with pytest.raises(KeyError, match=r"no named\.b in the document"):
        validate(Leaf, document, ("named", "b"))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("strid: 2", ": unknown key 'strid'; did you mean 'stride'?"),
        (
            "zzz: 2",
            ": unknown key 'zzz'; known: even, filters, kind, mode, on, share, size, stride, word",
        ),
        ("stride: abc", ".stride: must be a whole number, got 'abc'"),
        ("stride: 1.0", ".stride: must be a whole number, got 1.0"),
        ("stride: true", ".stride: must be a whole number, got true"),
        ("stride:", ".stride: must be a whole number, got nothing"),
        ("stride: [1, 2]", ".stride: must be a whole number, got a list of 2"),
        ("stride: {a: 1}", ".stride: must be a whole number, got a mapping"),
        (f"stride: {'x' * 80}", f".stride: must be a whole number, got '{'x' * 56}..."),
        ("stride: 0", ".stride: must be 1 or more, got 0"),
        ("stride: 13", ".stride: must be 12 or less, got 13"),
        ("share: 0", ".share: must be more than 0.0, got 0"),
        ("share: 1.0", ".share: must be less than 1.0, got 1.0"),
        ("share: half", ".share: must be a number, got 'half'"),
        ("even: 3", ".even: must be a multiple of 2, got 3"),
        ("on: yes", ".on: must be true or false, got 'yes'"),
        ("on: 1", ".on: must be true or false, got 1"),
        ("word: 1", ".word: must be text, got 1"),
        ("word: ''", ".word: must have 1 or more characters, got ''"),
        ("word: abcd", ".word: must have 3 or fewer characters, got 'abcd'"),
        ("word: A", ".word: must match the pattern ^[a-z]*$, got 'A'"),
        ("kind: cnv", ".kind: must be 'conv' or 'fc', got 'cnv'; did you mean 'conv'?"),
        ("kind: 1", ".kind: must be 'conv' or 'fc', got 1"),
        ("mode: x", ".mode: must be 'shift' or 'addressed', got 'x'"),
        ("size: x", ".size: must be a whole number or a list, got 'x'"),
        ("size: [1, x]", ".size[1]: must be a whole number, got 'x'"),
        (
            "size: [1, 2, 3]",
            ".size: must be a whole number or have 2 or fewer entries, got a list of 3",
        ),
    ],
)
def test_a_wrong_value_is_refused_in_plain_words(item: str, message: str) -> None:
    text = f"leaves:\n- filters: 1\n- filters: 1\n  {item}\n"
    at_element = message.startswith(":")
    assert faults(text) == f"f.yaml:4: leaves[1]{message}"
    assert at_element == ("unknown key" in message)  # an unknown key is no field of its own


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("leaves: [{}]", "f.yaml:1: leaves[0].filters: missing; number of filters"),
        ("leaves: 3", "f.yaml:1: leaves: must be a list, got 3"),
        ("leaves: [1]", "f.yaml:1: leaves[0]: must be a mapping of keys to values, got 1"),
        (
            "leaves: [{}, {}, {}, {}]",
            "f.yaml:1: leaves: must have 3 or fewer entries, got 4",
        ),
        ("named: 3", "f.yaml:1: named: must be a mapping of keys to values, got 3"),
        (
            "named:\n  a:\n    filtres: 1\n    filters: 1",
            "f.yaml:3: named.a: unknown key 'filtres'; did you mean 'filters'?",
        ),
        (
            "maybe:\n  filters: 1\n  Stride: 1",
            "f.yaml:3: maybe: unknown key 'Stride'; did you mean 'stride'?",
        ),
        (
            "figure: {shape: disk}",
            "f.yaml:1: figure: must be one of 'square', 'disc', got 'disk'; did you mean 'disc'?",
        ),
        ("figure: {side: 1}", "f.yaml:1: figure: missing; a value is required"),
        (
            "figure:\n  shape: disc\n  radius: 1\n  radios: 2",
            "f.yaml:4: figure: unknown key 'radios'; did you mean 'radius'?",
        ),
        (
            "figure:\n  shape: square",
            "f.yaml:1: figure.side: missing; a value is required",
        ),
        ("- 1", "f.yaml:1: must be a mapping of keys to values, got a list of 1"),
        ("low: 3", "f.yaml:1: low must not exceed high (1), got 3"),
    ],
)
def test_a_wrong_structure_is_refused_in_plain_words(text: str, message: str) -> None:
    assert faults(text) == message


def test_all_faults_come_at_once_in_the_order_of_their_lines() -> None:
    text = "hig: 1\nleaves:\n- stride: 0\n  kind: fcc\nnamed: {b: {filters: -}}\nlow: x\n"
    assert faults(text).splitlines() == [
        "f.yaml:1: unknown key 'hig'; did you mean 'high'?",
        "f.yaml:3: leaves[0].stride: must be 1 or more, got 0",
        "f.yaml:3: leaves[0].filters: missing; number of filters",
        "f.yaml:4: leaves[0].kind: must be 'conv' or 'fc', got 'fcc'; did you mean 'fc'?",
        "f.yaml:5: named.b.filters: must be a whole number, got '-'",
        "f.yaml:6: low: must be a whole number, got 'x'",
    ]


@given(json_values)
def test_no_message_speaks_of_the_library(data: object) -> None:
    document = parse_document("leaves: []", "f.yaml")
    for value in (data, {"leaves": data}, {"maybe": data, "figure": data, "named": {"x": data}}):
        try:
            validate(Tree, document, data=value)
        except InputError as error:
            for fault in error.faults:
                assert fault.message
                for word in ("pydantic", "http", "Value error", "Input should"):
                    assert word not in fault.message.replace(repr(data), "")


# --- names ------------------------------------------------------------------------------------


def test_the_nearest_name_is_found_in_any_case() -> None:
    assert closest("ALEXNT", ["alexnet", "vgg16"]) == "alexnet"
    assert closest("conv5_3", ["CONV5-2", "CONV5-3"]) == "CONV5-3"
    assert closest("resnet", ["lenet5", "ResNet50"]) == "ResNet50"
    assert closest("zzz", ["alexnet"]) is None
    assert closest("x" * 100_000, ["x" * 99_999]) is None
    assert closest("a", []) is None


def test_an_unknown_name_lists_the_known_ones() -> None:
    known = ["alexnet", "lenet5"]
    assert unknown_name("network", "alexnt", known) == (
        "no network 'alexnt'; did you mean 'alexnet'? known: alexnet, lenet5"
    )
    assert unknown_name("network", "zzz", known) == "no network 'zzz'; known: alexnet, lenet5"
    assert unknown_name("network", "zzz", []) == "no network 'zzz'; known: none"
    many = [f"n{i}" for i in range(25)]
    listed = ", ".join(many[:20])
    assert unknown_name("x", "?", many) == f"no x '?'; known: {listed}, ... (25 in all)"


def test_a_document_pickles() -> None:
    document = parse_document("a:\n  - b", "f.yaml")
    copy: Document = pickle.loads(pickle.dumps(document))
    assert copy == document
    assert copy.line(("a", 0)) == 2


# --- files of other tools ---------------------------------------------------------------------


def foreign(text: str) -> Document:
    return parse_document(text, "f.yaml", ("!Component",))


def test_tags_aliases_and_merge_keys_are_read_where_they_are_asked_for() -> None:
    document = foreign(
        "base: &base {a: 1, b: [1, 2]}\n"
        "nodes:\n"
        "- !Component\n"
        "  a: 3\n"
        "  <<: *base\n"
        "- {<<<: [*base, {c: 4}]}\n"
    )
    assert document.data == {
        "base": {"a": 1, "b": [1, 2]},
        "nodes": [
            {"!": "!Component", "a": 3, "b": [1, 2]},
            {"a": 1, "b": [1, 2], "c": 4},
        ],
    }
    assert document.line(("nodes", 0, "a")) == 4
    assert document.line(("nodes", 0, "b")) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &b [*b]", "f.yaml:1: a[0]: alias *b has no anchor that ends before it"),
        ("a: !Other {}", "f.yaml:1: a: tag '!Other' is not allowed"),
        ("a: !Component 1", "f.yaml:1: a: tag '!Component' is not allowed"),
        ("a: {<<: 1}", "f.yaml:1: a: a merge key takes mappings, not 1"),
        (
            "a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20,
            "f.yaml:2: b: nested deeper than 32 levels",
        ),
    ],
)
def test_what_is_wrong_in_a_file_of_another_tool_is_named(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        foreign(text)
    assert str(caught.value) == words
