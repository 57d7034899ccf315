"""Configuration: layers over layers, values as they were written, and every mistake told where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from streaming import config as configuration
from streaming.complaints import expected, shown
from streaming.config import Config, Section, load, loading, nested, setting, validate
from streaming.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a configuration, and works in its folder, so that errors name it shortly."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes, name: str = "my.yaml") -> Path:
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(data)
        return Path(name)

    return write


def mistakes(*arguments: Any, **options: Any) -> list[str]:
    """The lines of the error that loading raises."""
    with pytest.raises(UserError) as caught:
        load(*arguments, **options)
    return str(caught.value).splitlines()


def fields(section: type[Section] = Config, at: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from fields(field.annotation, f"{at}{name}.")
        else:
            yield at + name, field


# Layers


@pytest.mark.parametrize("name", ["r50", "swinb"])
def test_a_model_brings_its_preset(name: str) -> None:
    model = load(model=name).model
    assert (model.name, model.backbone) == (name, name)
    assert model.clip.startswith({"r50": "ViT-B-16", "swinb": "ViT-L-14-336"}[name])


def test_each_layer_goes_over_the_one_before(write: Any) -> None:
    path = write("model:\n  name: swinb\n  clip: ViT-B-32\n  window: 4\nsource:\n  id: file\n  hop_s: 0.5\n")
    config = load(path, settings=[nested(("source", "id"), "line", "--id"), setting("model.window=3")])
    assert config.model.backbone == "swinb", "from the preset that the file names"
    assert config.model.clip == "ViT-B-32", "a file may change what the preset says"
    assert config.model.window == 3
    assert (config.source.id, config.source.hop_s) == ("line", 0.5)
    assert config.labels.top_k == 5, "what nobody says keeps its default"


def test_the_command_line_chooses_another_preset_than_the_file(write: Any) -> None:
    path = write("model:\n  name: swinb\n")
    assert load(path, settings=[setting("model.name=r50")]).model.backbone == "r50"
    named = nested(("model", "name"), "r50", "--model")
    assert load(path, model="r50", settings=[named]).model.backbone == "r50"


def test_a_list_is_replaced_whole(write: Any) -> None:
    path = write("vocabulary:\n  words: [dog, cat, train]\n")
    assert load(path, settings=[setting("vocabulary.words=[violin]")]).vocabulary.words == ["violin"]


@pytest.mark.parametrize("text", ["", "# nothing but a remark\n", "source:\nmodel:\nnodes:\n  model:\n"])
def test_empty_files_and_sections_change_nothing(write: Any, text: str) -> None:
    assert load(write(text)) == load()


def test_layers_are_left_as_they_were(write: Any) -> None:
    below, above = setting("source.id=a"), setting("source.pace=realtime")
    configuration.merge([below, above])
    assert (below.values, above.values) == ({"source": {"id": "a"}}, {"source": {"pace": "realtime"}})


def test_a_configuration_survives_the_way_to_a_node(write: Any) -> None:
    path = write("vocabulary:\n  words: [dog, 'no']\nsource:\n  hop_s: 0.2\n  video_stream: 1\n")
    config = load(path, model="swinb")
    assert Config.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_the_configurations_that_come_with_the_project_are_valid(path: Path) -> None:
    load(path)


# Values as they were written


@pytest.mark.parametrize("word", ["no", "yes", "on", "1", "1.0", "12:30", "2024-05-01", "null", "~", "0x1F"])
def test_words_are_taken_as_written(write: Any, word: str) -> None:
    assert load(write(f"vocabulary:\n  words: [dog, {word}]\n")).vocabulary.words == ["dog", word]
    assert load(write(f"vocabulary:\n  words:\n  - {word}\n")).vocabulary.words == [word]
    assert load(settings=[setting(f"vocabulary.words=[dog, {word}]")]).vocabulary.words == ["dog", word]


@pytest.mark.parametrize("text", ["no", "on", "12:30", "007", "2024-05-01", "1e3", "0o17", "=", "<<"])
def test_text_is_taken_as_written(write: Any, text: str) -> None:
    assert load(write(f"output:\n  dir: {text}\n")).output.dir == text
    assert load(settings=[setting(f"output.dir={text}")]).output.dir == text


@pytest.mark.parametrize(
    "text", ["#1", "*", "a: b", "@home", "%x", "rtsp://camera/1?x=y", "C:\\clips\\a b.mp4"]
)
def test_text_from_the_command_line_needs_no_quotes(text: str) -> None:
    assert load(settings=[setting(f"source.uri={text}")]).source.uri == text
    assert load(settings=[setting(f" source.uri = '{text}' ")]).source.uri == text


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("yes", True), ("On", True), ("false", False), ("no", False)]
)
def test_truth_has_several_names(write: Any, text: str, value: bool) -> None:
    assert load(write(f"output:\n  annotated: {text}\n")).output.annotated is value


@pytest.mark.parametrize("nothing", ["", "~", "null", "# a remark"])
def test_nothing_takes_back_what_a_lower_layer_says(write: Any, nothing: str) -> None:
    low, high = write("model:\n  checkpoint: a.pth\n"), write(f"model:\n  checkpoint: {nothing}\n", "b.yaml")
    assert load(low).model.checkpoint == "a.pth"
    assert (
        validate(configuration.merge([*map(configuration.read_yaml, (low, high))])).model.checkpoint is None
    )
    assert load(low, settings=[setting("model.checkpoint=")]).model.checkpoint is None


def test_what_depends_on_behaviour_follows_it_unless_given() -> None:
    def resolved(*settings: str) -> tuple[str, str]:
        model = load(settings=map(setting, settings)).model
        return model.resolved_selection, model.resolved_anchor

    assert resolved() == ("sounding", "centre")
    assert resolved("model.behaviour=reference") == ("class-score", "top-left")
    assert resolved("model.behaviour=reference", "model.crop_anchor=centre") == ("class-score", "centre")


def test_an_anchor_may_stand_for_a_value(write: Any) -> None:
    path = write("nodes:\n  model:\n    threads: &t 3\n  classification:\n    threads: *t\n")
    nodes = load(path).nodes
    assert (nodes.model.threads, nodes.classification.threads) == (3, 3)


# Mistakes


HOPS = "one of 1.0, 0.5, 0.25, 0.2, 0.125, 0.1"
STREAM = "a whole number of at least 0, or nothing"
LABELS = "a section with top_k, max_age_s, unsure_below, changed_iou, looks_kept"
BEYOND = (
    "tcp://0.0.0.0:1: others can reach this address, so it needs keys: make them with "
    "`python run_pipeline.py keys DIR`, or use 127.0.0.1"
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: {window: 50}", "model.window: found 50, expected a whole number from 1 to 30"),
        (
            "model: {channels: 100}",
            "model.channels: found 100, expected a whole number from 32 to 1024, a multiple of 32",
        ),
        ("model: {window: 4.5}", "model.window: found 4.5, expected a whole number from 1 to 30"),
        ("model: {window: yes}", "model.window: found 'yes', expected a whole number from 1 to 30"),
        ("source: {start_s: 12:30}", "source.start_s: found 12:30, expected a number of at least 0"),
        ("source: {start_s: .nan}", "source.start_s: found .nan, expected a number of at least 0"),
        ("source: {start_s: inf}", "source.start_s: found 'inf', expected a number of at least 0"),
        ("source: {start_s: '1,5'}", "source.start_s: found 1,5, expected a number of at least 0"),
        ("source: {video_stream: none}", f"source.video_stream: found 'none', expected {STREAM}"),
        ("source: {video_stream: -1}", f"source.video_stream: found -1, expected {STREAM}"),
        ("source: {hop_s: 0.3333}", f"source.hop_s: found 0.3333, expected {HOPS}"),
        ("source: {hop_s: fast}", f"source.hop_s: found 'fast', expected {HOPS}"),
        ("source: {pace: slow}", "source.pace: found 'slow', expected one of asap, realtime"),
        ("source: {id: a b}", "source.id: found 'a b', expected 1 to 64 of the characters A-Z a-z 0-9 _ . -"),
        ("source: {uri: [a, b]}", "source.uri: found a list, expected text"),
        ("source: {uri: {a: b}}", "source.uri: found a section, expected text"),
        ("output: {dir: }", "output.dir: found nothing, expected text"),
        ("output: {results: maybe}", "output.results: found 'maybe', expected true or false"),
        ("output: {results: ' '}", "output.results: found empty text, expected true or false"),
        (
            "output: {preview_fps: 0}",
            "output.preview_fps: found 0, expected a number above 0 and at most 120",
        ),
        ("tracks: {nms_iou: 1.5}", "tracks.nms_iou: found 1.5, expected a number from 0 to 1"),
        (
            "tracks: {sounding_on: 0.1, sounding_off: 0.3}",
            "tracks.sounding_off: found 0.3, expected at most tracks.sounding_on, which is 0.1",
        ),
        (
            "model: {short_side: 480, max_side: 320}",
            "model.max_side: found 320, expected at least model.short_side, which is 480",
        ),
        ("model: {device: gpu}", "model.device: found 'gpu', expected auto, cpu, cuda or cuda:NUMBER"),
        (
            "model: {fusion: }",
            "model.fusion: found nothing, expected one of none, add, bi-attention, similarity",
        ),
        (
            "model: {name: r51}",
            "model.name: found 'r51', expected one of edge, lessons, openavs, r50, sam4avs, swinb, tiny",
        ),
        (
            "openavs: {llm: {key_variable: sk-abc}}",
            "openavs.llm.key_variable: expected the name of a variable, of A-Z 0-9 _, and not the key itself",
        ),
        (
            "model: {name: demo}",
            "model.name: found 'demo', expected one of edge, lessons, openavs, r50, sam4avs, swinb, tiny",
        ),
        (
            "model: {name: ./r50}",
            "model.name: found './r50', expected one of edge, lessons, openavs, r50, sam4avs, swinb, tiny",
        ),
        ("model: {name: [r50]}", "model.name: found a list, expected text"),
        ("labels: [top_k]", f"labels: found a list, expected {LABELS}"),
        ("vocabulary: dog", "vocabulary: found 'dog', expected a section with words, cache_dir"),
        ("nodes: {model: 3}", "nodes.model: found 3, expected a section with here, threads"),
        (
            "vocabulary: {words: {dog: 1}}",
            "vocabulary.words: found a section, expected a list of words or text",
        ),
        ("vocabulary: {words: [dog, [cat]]}", "vocabulary.words, entry 2: found a list, expected text"),
        (
            "vocabulary: {words: [dog, '']}",
            "vocabulary.words: entry 2: found an empty word, expected a word or phrase",
        ),
        ("vocabulary: {words: []}", "vocabulary.words: no words found, expected at least one"),
        (
            "links: {masks: localhost}",
            "links.masks: localhost: not an address, expected ipc://PATH or tcp://HOST:PORT",
        ),
        ("links: {masks: 'tcp://0.0.0.0:1'}", f"links.masks: {BEYOND}"),
        ("output: {publish: 'tcp://0.0.0.0:1'}", f"output.publish: {BEYOND}"),
        ("links: {broadcast: 'tcp://0.0.0.0:1'}", f"links.broadcast: {BEYOND}"),
        ("viewer: {port: 65536}", "viewer.port: found 65536, expected a whole number from 0 to 65535"),
        (
            "viewer: {host: 'http://x'}",
            "viewer.host: found 'http://x', expected text, an address of this machine or its name",
        ),
        (
            "viewer: {host: 0.0.0.0, plain: true}",
            "viewer.token: found none, expected one, as others can reach 0.0.0.0: "
            "viewer.token=${VIEWER_TOKEN}, the variable being taken from the environment",
        ),
        (
            "viewer: {host: 10.0.0.1, token: '${VIEWER_TOKEN}'}",
            "viewer.plain: found false, and no viewer.certificate, with which others could reach 10.0.0.1 "
            "safely: give one and its viewer.key, or set this to true in a network that you trust",
        ),
        (
            "viewer: {key: page.key}",
            "viewer.key: found one without viewer.certificate, expected both or neither",
        ),
        (
            "viewer: {token: hunter2}",
            "viewer.token: found another text, expected 16 to 200 of the characters A-Z a-z 0-9 . _ ~ -",
        ),
        (
            "output: {publish: 5560}",
            "output.publish: 5560: not an address, expected ipc://PATH or tcp://HOST:PORT",
        ),
        (
            "output: {metrics: 0}",
            "output.metrics: found 0, expected a whole number from 1 to 65535, or nothing",
        ),
        (
            "output: {metrics: on}",
            "output.metrics: found 'on', expected a whole number from 1 to 65535, or nothing",
        ),
        (
            "output: {mqtt: {topic: a/+}}",
            "output.mqtt.topic: found 'a/+', expected text of A-Z a-z 0-9 _ . -, with / between levels",
        ),
        ("output: {mqtt: {silent_s: -1}}", "output.mqtt.silent_s: found -1, expected a number from 0 to 600"),
    ],
)
def test_a_wrong_value_is_told(write: Any, text: str, told: str) -> None:
    assert mistakes(write(f"\n{text}\n")) == [f"my.yaml:2: {told}"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source: {strat_s: 1}", "source.strat_s: no such key; did you mean 'start_s'?"),
        ("model: {Behavior: paper}", "model.Behavior: no such key; did you mean 'behaviour'?"),
        ("sorce: {id: a}", "sorce: no such key; did you mean 'source'?"),
        ("hop_s: 0.5", "hop_s: no such key; did you mean source.hop_s?"),
        ("model: {top_k: 1}", "model.top_k: no such key; did you mean labels.top_k?"),
        (
            "source: {model: {name: r50}}",
            "source.model: no such key; did you mean 'model:' without indentation?",
        ),
        (
            "source.uri: a.mp4",
            "source.uri: no such key; write 'uri:' in a line of its own below 'source:'",
        ),
        (
            "nodes: {screen: }",
            "nodes.screen: no such key; expected one of capture, feature, model, classification, recorder, "
            "viewer",
        ),
        (
            r'nodes: {model: {"a\n\e[1m": 1}}',
            "nodes.model.a??[1m: no such key; expected one of here, threads",
        ),
    ],
)
def test_an_unknown_key_is_told_with_what_may_have_been_meant(write: Any, text: str, told: str) -> None:
    assert mistakes(write(f"\n{text}\n")) == [f"my.yaml:2: {told}"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "source:\n  id: a\n  pace: asap\n  id: b\n",
            ":4: source.id: found twice (first in line 2), expected once",
        ),
        ("source:\n\tid: a\n", ":2: found a tab, expected spaces: YAML is indented with spaces"),
        ("source:\n  uri: a: b\n", ":2: not valid YAML (mapping values are not allowed here); check "),
        ("source:\n  uri: [a\nmodel:\n", ":3: not valid YAML (*, in what begins in line 2); check "),
        ("source:\n  uri: 'a\n\n\n", ":5: not valid YAML (*, in what begins in line 2); check "),
        ("source:\n  id: a\n---\nmodel:\n", ":3: found a second document (---), expected one"),
        ("source:\n  id: a\n\n  uri: \x07\n", ":4: found the control character U+0007, expected text"),
        ("- source\n", ":1: found a list, expected sections such as 'source:' and 'model:'"),
        ("\nvideo.mp4\n", ":2: found text, expected sections such as 'source:' and 'model:'"),
        ("[" * 5000, ": nested too deeply, expected sections with keys and values"),
        ("source:\n  uri: !secret a\n", ":2: source.uri: found the tag !secret, expected a value without"),
        ("source: !!python/tuple []\n", ":1: source: found the tag tag:yaml.org,2002:python/tuple, expected"),
        ("source: &s\n  id: a\nmodel: *s\n", ":3: model: found an alias (*) of a section or list, expected"),
        ("source: &s\n  id: *s\n", ":2: source.id: found an alias (*) of a section or list, expected"),
        ("? [a, b]\n: 1\n", ":1: found a list or section as a key, expected a name"),
        (b"source:\n  id: caf\xe9\n", ":2: not text in UTF-8, expected a configuration file"),
        (b"# " + b"x" * (1 << 20), ": found more than 1 MiB, expected a configuration file"),
    ],
)
def test_what_is_no_configuration_is_told(write: Any, text: str | bytes, told: str) -> None:
    begin, _, end = f"my.yaml{told}".partition("*, ")
    told_lines = mistakes(write(text))
    assert told_lines[0].startswith(begin)
    assert end in told_lines[0]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    there = re.escape(str(tmp_path))
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "no.yaml", "No such file or directory")):
        assert re.fullmatch(rf"{there}.*: cannot be read as a configuration: {reason}", *mistakes(path))


def test_a_byte_order_mark_is_no_part_of_the_first_key(write: Any) -> None:
    assert load(write(b"\xef\xbb\xbfsource:\r\n  id: a\r\n")).source.id == "a"


def test_all_mistakes_of_all_layers_are_told_at_once_in_their_order(write: Any) -> None:
    path = write(
        "sauce:\nsource:\n  hop_s: 3\n  hop_s: 1\nmodel:\n  name: r51\n  window: 0\noutput:\n  dir: [a]\n"
    )
    lines = mistakes(path, settings=[setting("labels.top_k=0"), nested(("source", "pace"), "slow", "--pace")])
    assert [line.partition(" ")[0] for line in lines] == [
        "--pace:", "--set:", *(f"my.yaml:{number}:" for number in (1, 3, 4, 6, 7, 9))
    ]  # fmt: skip
    assert lines[0] == "--pace: source.pace: found 'slow', expected one of asap, realtime"
    assert lines[1] == "--set: labels.top_k: found 0, expected a whole number from 1 to 100"


def test_a_mistake_in_a_preset_names_the_preset(tmp_path: Path, write: Any, monkeypatch: Any) -> None:
    presets = tmp_path / "presets"
    presets.mkdir()
    monkeypatch.setattr(loading, "PRESETS", presets)
    (presets / "small.yaml").write_text("model:\n  name: small\n  backbone: r18\n")
    (presets / "broken.yaml").write_text("model: [\n")
    told = "model.backbone: found 'r18', expected one of r50, swinb, tiny"
    assert mistakes(model="small") == [f"{Path('presets/small.yaml')}:3: {told}"]
    path = write("model:\n  name: small\n  backbone: r50\n")
    assert load(path).model.backbone == "r50", "a file may mend it"
    assert mistakes(model="large") == ["--model: model.name: found 'large', expected one of small"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source.id", "--set source.id: expected section.key=value, such as source.hop_s=0.5"),
        ("=1", "--set : expected section.key=value, such as source.hop_s=0.5"),
        ("source..id=1", "--set source..id: expected section.key=value, such as source.hop_s=0.5"),
        ("vocabulary.words=[a", "--set vocabulary.words: not valid YAML"),
        ("source.uri='a", "--set source.uri: not valid YAML"),
        ("source=webcam", "--set: source: found 'webcam', expected a section with id, uri,"),
        ("source.uri.path=a", "--set: source.uri: found a section, expected text"),
        ("hop_s=1", "--set: hop_s: no such key; did you mean source.hop_s?"),
        ("nodes.model={threads: 0}", "--set: nodes.model.threads: found 0, expected a whole number from 1"),
        ("nodes.model={threads: 1, threads: 2}", "--set: nodes.model.threads: found twice, expected once"),
        ("vocabulary.words=[a, [b]]", "--set: vocabulary.words, entry 2: found a list, expected text"),
    ],
)
def test_a_mistake_on_the_command_line_is_told(write: Any, text: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        load(write("vocabulary:\n  words: [x, y, z]\n"), settings=[setting(text)])
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


def test_what_a_secret_stands_in_is_not_repeated_when_its_key_is_wrong(write: Any) -> None:
    lines = mistakes(write("source:\n  url: rtsp://me:secret@camera\n"), settings=[setting("uri=x:secret@y")])
    assert len(lines) == 2
    assert not any("secret" in line for line in lines)


def test_an_address_in_the_wrong_place_is_told_without_its_password(write: Any) -> None:
    (line,) = mistakes(write("source: rtsp://me:secret@camera/1\n"))
    assert line.startswith("my.yaml:1: source: found 'rtsp://***@camera/1', expected a section with id, uri")


@pytest.mark.parametrize("where", ["source:\n  uri: {}\n", "sources:\n  - {{id: a, uri: '{}'}}\n"])
def test_an_address_that_is_written_wrongly_is_told_without_its_password(write: Any, where: str) -> None:
    (line,) = mistakes(write(where.format("rstp://me:secret@camera/1")))
    assert "uri: found rstp://***@camera/1, expected one that begins with rtsp://" in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "output: {mqtt: {address: 'http://me:secret@broker'}}",
            "output.mqtt.address: found http://***@broker, expected mqtt://HOST, "
            "mqtt://NAME:PASSWORD@HOST:PORT, or mqtts:// for TLS",
        ),
        (
            "output: {mqtt: 'mqtt://me:secret@broker'}",
            "output.mqtt: found 'mqtt://***@broker', expected a section with address, topic, ca_file",
        ),
        (
            "output: {mqtt: {adress: 'mqtt://me:secret@broker'}}",
            "output.mqtt.adress: no such key; did you mean",
        ),
        (
            "output: {metrics: 'mqtt://me:secret@broker'}",
            "output.metrics: found 'mqtt://***@broker', expected a",
        ),
    ],
)
def test_a_broker_is_told_of_without_its_password(write: Any, text: str, told: str) -> None:
    (line,) = mistakes(write(text + "\n"))
    assert line.startswith(f"my.yaml:1: {told}")
    assert "secret" not in line


@pytest.mark.parametrize(
    "topic", ["", "/", "a/", "/a", "a//b", "a/#", "+", "$SYS", "a\0b", "a b", "\u00e4", "a" * 201]
)
def test_a_topic_is_one_that_can_be_published_to(topic: str) -> None:
    with pytest.raises(UserError, match=r"output\.mqtt\.topic: found"):
        load(settings=[nested(("output", "mqtt", "topic"), topic, "--set")])


def test_a_machine_with_keys_may_use_any_address(write: Any) -> None:
    path = write("links:\n  masks: tcp://10.0.0.7:5555\n  keys: keys\n")
    assert load(path).links.masks == "tcp://10.0.0.7:5555"
    open_to_all = setting("output.publish=tcp://0.0.0.0:5560")
    assert load(path, settings=[open_to_all]).output.publish == "tcp://0.0.0.0:5560"
    with pytest.raises(UserError, match=r"^--set: output\.publish: tcp://0\.0\.0\.0:5560: others can reach"):
        load(settings=[open_to_all])


def test_a_long_value_is_shown_short() -> None:
    assert shown("x" * 1000) == repr("x" * 59 + "…")
    assert mistakes(settings=[setting("model.window=" + "9" * 10_000)])[0].startswith(
        "--set: model.window: found 9"
    )


# Several sources

TWO = """
source: {hop_s: 0.5, transport: udp}
sources:
  - {id: front, uri: rtsp://host/1}
  - {id: back, uri: rtsp://host/2, transport: tcp}
"""


def test_sources_have_in_common_what_is_set_for_all(write: Any) -> None:
    config = load(write(TWO))
    assert [(s.id, s.uri, s.hop_s, s.transport) for s in config.all_sources] == [
        ("front", "rtsp://host/1", 0.5, "udp"),
        ("back", "rtsp://host/2", 0.5, "tcp"),
    ]
    assert config.captures == ["capture-front", "capture-back"]
    assert Config.model_validate_json(config.model_dump_json()) == config


def test_a_capture_node_knows_of_its_own_source_alone(write: Any) -> None:
    links = {"snippets": "ipc:///run/snippets", "previews": "ipc:///run/previews"}
    config = load(write(TWO), settings=[setting("output.tape=out.d/tape.mcap")])
    config = config.model_copy(update={"links": config.links.model_copy(update=links)})
    assert config.addresses("snippets") == ["ipc:///run/snippets-front", "ipc:///run/snippets-back"]
    assert len(config.addresses("features")) == 1
    back = config.of_node("capture-back")
    assert (back.source.id, back.sources) == ("back", [])
    assert (back.links.snippets, back.links.previews) == (
        "ipc:///run/snippets-back",
        "ipc:///run/previews-back",
    )
    assert back.output.tape == "out.d/tape-back.mcap"
    assert config.of_node("model") is config
    assert load(settings=[setting("source.uri=x")]).of_node("capture").source.uri == "x"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "sources: [{uri: a}]\nsource: {uri: b}",
            "sources: found source.uri as well, expected one or the other",
        ),
        ("sources: [{id: a, uri: x}, {id: a, uri: y}]", "sources: found several with the id 'a'"),
        ("sources: [{id: a, uri: x}, {id: b}]", "sources: found no uri of 'b'"),
        ("sources: [{id: a, uri: x, hop_s: 0.5}]", "sources: found another hop_s for 'a'; set it once"),
        (
            "sources: [{id: a, uri: x, colour: red}]",
            "sources, entry 1, colour: no such key; expected one of id, uri, pace",
        ),
        ("sources: {id: a}", "sources: found a section, expected a list of sections"),
        (
            "sources: [{id: a, uri: x}, {id: b, uri: y}]\nlinks: {snippets: 'tcp://127.0.0.1:5'}",
            "links: with `sources`, snippets is found at tcp://127.0.0.1:5, expected ipc://PATH",
        ),
    ],
)
def test_wrong_sources_are_told_in_a_line(write: Any, text: str, told: str) -> None:
    (line,) = mistakes(write(text))
    assert told in line


def test_a_page_for_others_needs_a_token_and_tls_or_a_word_that_none_is_wanted() -> None:
    token = "viewer.token=${VIEWER_TOKEN}"
    for more in (["viewer.certificate=page.pem"], ["viewer.plain=true"]):
        config = load(settings=map(setting, ["viewer.host=0.0.0.0", token, *more]))
        assert not config.viewer.enabled
    assert not load(settings=[setting("output.annotated=false")]).shows_pictures
    watched = load(settings=map(setting, ["output.annotated=false", "viewer.enabled=true"]))
    assert watched.shows_pictures


# What the reference of all settings is made of


@pytest.mark.parametrize(
    ("name", "field"), list(fields()), ids=lambda item: item if isinstance(item, str) else ""
)
def test_every_setting_says_what_it_means_and_takes(name: str, field: Any) -> None:
    if not name.startswith("nodes."):
        assert field.description
    words = expected(Annotated[field.annotation, field])
    assert re.match(r"(text|true or false|a (whole )?number|a list|one of|auto|1 to 64)", words), words


def test_the_default_of_every_setting_is_one_that_may_be_given() -> None:
    config = load()
    assert Config.model_validate(config.model_dump()) == config
    assert Config() == Config.model_validate(Config().model_dump())
