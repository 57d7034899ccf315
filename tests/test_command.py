"""The command line: what it promises, and that every mistake is one clear line and exit code 2."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from commands import running
from commands.arguments import parser
from commands.asking import POINTER, announced
from run_pipeline import COMMANDS, main
from streaming import node_process, supervisor
from streaming.clock import Clock
from streaming.config import Config, load
from streaming.control import ClientRequest, ControlServer
from streaming.errors import UserError
from streaming.node_process import Node
from streaming.supervisor import NODES, NodeFailure
from tests.pipeline import ROOT, command

LINKS = ("snippets", "features", "masks", "results", "previews", "control")


@pytest.fixture(autouse=True)
def as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder to work in, and to fetch to; and signals as they were, which `run` takes over."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OV_AVSS_CACHE", str(tmp_path / "cache"))
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(one) for one in signals]
    yield
    for one, handler in zip(signals, before, strict=True):
        signal.signal(one, handler)


def errors(capsys: pytest.CaptureFixture[str], line: str) -> list[str]:
    """The lines of complaint about a command that is given wrongly."""
    assert main(shlex.split(line)) == 2
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert lines
    assert all(line.startswith("error: ") for line in lines), told.err
    return [line.removeprefix("error: ") for line in lines]


# What it promises -----------------------------------------------------------------------------------------


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    assert told.startswith("usage: run_pipeline.py")
    for name in COMMANDS:
        assert f"\n    {name}" in told


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_tells_of_each_option(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    assert "usage: run_pipeline.py " + name in capsys.readouterr().out
    (subparsers,) = (action for action in parser()._actions if action.dest == "command")
    for action in subparsers.choices[name]._actions:  # type: ignore[union-attr,index,call-overload]
        assert action.help or action.choices, f"{name}: {action.dest}"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("dance", "invalid choice: 'dance'"),
        ("run --sauce clip.mp4", "unrecognized arguments: --sauce clip.mp4"),
        ("run --pace slowly", "invalid choice: 'slowly' (choose from 'asap', 'realtime')"),
        ("node screen", "invalid choice: 'screen'"),
        ("check", "the following arguments are required: CONFIG"),
        ("keys", "the following arguments are required: DIR"),
        ("bench --seconds soon", "argument --seconds: found 'soon', expected a whole number of seconds"),
        (
            "bench --seconds 0",
            "argument --seconds: found '0', expected a whole number of seconds, at least 1",
        ),
        (
            "record --out x.mcap --seconds nan",
            "argument --seconds: found 'nan', expected a number of seconds",
        ),
        ("record --out x.mcap --seconds=-1", "argument --seconds: found '-1', expected a number of seconds"),
        ("run --log-status 0", "argument --log-status: found '0', expected a number of seconds above 0"),
        ("evaluate", "the following arguments are required: --data"),
        ("train --set x=1", "the following arguments are required: --config"),
        ("weights", "the following arguments are required: ACTION"),
        ("weights fetch", "the following arguments are required: NAME"),
        ("weights paint", "argument ACTION: invalid choice: 'paint'"),
        ("world --sprites here", "unrecognized arguments: here"),
    ],
)
def test_a_command_that_is_none_is_told(capsys: pytest.CaptureFixture[str], line: str, told: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(shlex.split(line))
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err


def test_every_line_of_an_error_is_marked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(args: Any) -> int:
        raise UserError("a.yaml:1: one\na.yaml:2: two")

    monkeypatch.setattr("commands.checking.check", fail)
    assert errors(capsys, "check a.yaml") == ["a.yaml:1: one", "a.yaml:2: two"]


def test_an_interrupt_is_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(args: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("commands.checking.check", interrupted)
    assert main(["check", "a.yaml"]) == 130
    assert capsys.readouterr().err == ""


# check ----------------------------------------------------------------------------------------------------


def test_a_valid_configuration_is_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text("source:\n  uri: clip.mp4\n")
    Path("empty.yaml").write_text("")
    assert main(["check", "mine.yaml"]) == 0
    assert main(["check", "empty.yaml", "--set", "model.name=swinb"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "mine.yaml: valid (model tiny, source clip.mp4)",
        "empty.yaml: valid (model swinb, source to be given)",
    ]
    assert told.err == ""


def test_every_mistake_of_a_configuration_is_told_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text("source:\n  pace: slow\nmodel:\n  window: many\n  colour: red\n")
    told = errors(capsys, "check mine.yaml")
    assert [line.split(": ")[:2] for line in told] == [
        ["mine.yaml:2", "source.pace"],
        ["mine.yaml:4", "model.window"],
        ["mine.yaml:5", "model.colour"],
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("check missing.yaml", "missing.yaml: cannot be read as a configuration: No such file or directory"),
        ("check .", ".: cannot be read as a configuration: Is a directory"),
        ("check empty.yaml --set pace=slow", "--set: pace: no such key; did you mean source.pace?"),
        ("check empty.yaml --set source.pace", "--set source.pace: expected section.key=value"),
        (
            "check empty.yaml --set model.window=0",
            "--set: model.window: found 0, expected a whole number from",
        ),
        ("check empty.yaml --set vocabulary.words=dog,,cat", "vocabulary: entry 2: found an empty word"),
        ("check empty.yaml --set vocabulary.words=missing.yaml", "missing.yaml: cannot be read"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(capsys: pytest.CaptureFixture[str], line: str, told: str) -> None:
    Path("empty.yaml").write_text("")
    (found,) = errors(capsys, line)
    assert told in found


TYPED = [
    ("check list.yaml", "list.yaml:1: found a list, expected sections such as 'source:' and 'model:'"),
    ("check text.yaml", "text.yaml:1: found text, expected sections such as 'source:' and 'model:'"),
    ("check binary", "binary:1: not text in UTF-8, expected a configuration file"),
    ("check loop", "loop: cannot be read as a configuration: Too many levels of symbolic links"),
    ("check deep.yaml", "deep.yaml: nested too deeply, expected sections with keys and values"),
    ("check ''", "command line: found empty text, expected a value"),
    ("check empty.yaml --set ''", "--set : expected section.key=value, such as source.hop_s=0.5"),
    ("check empty.yaml --set model=5", "--set: model: found 5, expected a section with name, family"),
    ("check empty.yaml --set model.window=1e999", "--set: model.window: found 1e999, expected a whole"),
    ("check empty.yaml --set source.start_s=.inf", "--set: source.start_s: found .inf, expected a number of"),
    ("check empty.yaml --set 'model.window=['", "--set model.window: not valid YAML ("),
    ("check empty.yaml --set 'model.window=!!python/object:os.system x'", "expected a whole number from 1"),
    ("check empty.yaml --set a.b.c.d=1", "--set: a: no such key; expected one of source, sources"),
    ("check empty.yaml --set viewer.port=99999999", "found 99999999, expected a whole number from 0 to"),
    ("check empty.yaml --set vocabulary.words=binary.yaml", "binary.yaml: not a text file in UTF-8; give a"),
    ("check empty.yaml --set model.name=../../x", "model.name: found '../../x', expected one of edge"),
    ("run --source ''", "--source: found empty text, expected a value (is a variable of the shell not set?)"),
    ("run --source clip.mp4 --out=", "--out: found empty text, expected a value"),
    ("run --source clip.mp4 --vocabulary ' '", "--vocabulary: found empty text, expected a value"),
    ("run --source rtsp:/x", "--source: source.uri: found rtsp:/x, expected one that begins with rtsp://"),
    ("run --source clip.mp4 --weights bundled:nope", "nope.safetensors: is missing; it comes with"),
    ("run --source clip.mp4 --weights folder", "folder: no such checkpoint. Get"),
    ("run --source clip.mp4 --weights fetched:nope", "found 'nope', which is the name of no weights and of"),
    ("run --source clip.mp4 --weights fetched:ov-avss-r50", "ov-avss-r50 is not here; get model_ov_avss_r50"),
    ("run --source clip.mp4 --config list.yaml", "list.yaml:1: found a list, expected sections"),
    ("run --source clip.mp4 --out binary", "binary: cannot be written (File exists); choose another --out"),
    ("run --source clip.mp4 --out /dev/null/x", "/dev/null/x: cannot be written (Not a directory); choose"),
    ("replay folder", "folder: cannot be read (Is a directory)"),
    ("replay missing.mcap", "missing.mcap: cannot be read (No such file or directory)"),
    ("replay binary", "binary: not an MCAP file, expected a recording by `record`"),
    ("replay empty.yaml", "empty.yaml: not an MCAP file, expected a recording by `record`"),
    ("record --source clip.mp4 --out folder", "folder: cannot be written (Is a directory); choose another"),
    ("record --source missing.mp4 --out x.mcap", "missing.mp4: cannot be read: No such file or directory"),
    ("record --source binary --out x.mcap", "binary: FFmpeg cannot read it ("),
    ("record --source folder --out x.mcap", "folder: found a directory, expected a video file"),
    ("record --source clip.mp4 --out clip.mp4", "output.tape: clip.mp4 is what is being played; choose"),
    ("record --out x.mcap", "source.uri: nothing to open; give --source FILE"),
    ("node capture", "a node by itself needs the addresses of its links: give links.snippets"),
    ("node feature --config list.yaml", "list.yaml:1: found a list, expected sections"),
    ("vocabulary dog --out binary", "binary: no pipeline is running there; give the --out of the run"),
    ("status --out loop", "loop: no pipeline is running there; give the --out of the run"),
    ("keys binary", "binary: cannot write keys there: File exists"),
    ("keys loop", "loop: cannot write keys there: File exists"),
    ("world", "--out: say in which folder the set is to be made"),
    ("world --out w --clips=-1", "--clips: found -1, expected 0 or more"),
    ("world --out w --artists nobody", "artists: found 'nobody', expected train, test or any of noto"),
    ("world --out binary --artists shapes --clips 1", "binary"),
    ("evaluate --data missing", "missing"),
    ("evaluate --data binary", "binary"),
    ("evaluate --data folder --clips 0", "--clips: found 0, expected 1 or more"),
    ("evaluate --data folder --model nope", "model.name: found 'nope', expected one of edge, lessons"),
    ("evaluate --data folder --weights missing.pth", "missing.pth: no such checkpoint. Get"),
    ("train --config missing.yaml", "missing.yaml: cannot be read as a configuration: No such file"),
    ("train --config list.yaml", "list.yaml:1: found a list, expected sections"),
    ("train --config folder", "folder: cannot be read as a configuration: Is a directory"),
    ("weights fetch ''", "command line: found empty text, expected a value"),
    ("weights fetch yamnett", "found 'yamnett', which is the name of no weights and of no preset; close to"),
    ("weights fetch ov-avss-r50", "ov-avss-r50 cannot be fetched; get model_ov_avss_r50.pth from the links"),
    ("weights fetch yamnet --mirror x", "yamnet: mirror: found 'x', expected https://HOST or http://HOST"),
    ("weights fetch yamnet --from missing", "--from missing: expected a folder"),
    ("bench --json folder", "folder: cannot be written (Is a directory); choose another file"),
    ("bench --json binary/x", "binary/x: cannot be written (File exists); choose another file"),
    ("bench --model nope", "model.name: found 'nope', expected one of edge, lessons, openavs, r50"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "told"), TYPED, ids=[line for line, _ in TYPED])
def test_whatever_is_typed_wrongly_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    for name in ("binary", "binary.yaml"):
        Path(name).write_bytes(bytes(range(128, 256)) * 20)
    for name, text in {
        "list.yaml": "- a\n", "text.yaml": "hi\n", "deep.yaml": "[" * 5000, "empty.yaml": ""
    }.items():  # fmt: skip
        Path(name).write_text(text)
    shutil.copy(ROOT / "media" / "demo.mp4", "clip.mp4")
    (found,) = errors(capsys, line)
    assert told in found


def test_what_is_set_to_nothing_on_purpose_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty.yaml").write_text("")
    assert main(["check", "empty.yaml", "--set", "output.tape="]) == 0


def test_words_of_others_in_an_error_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = errors(capsys, "replay 'a\x1b[2Jb'")
    assert found == "a?[2Jb: cannot be read (No such file or directory)"


def test_checking_loads_no_model_and_runs_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("raise SystemExit('not this one')")
    program = (
        "import sys, run_pipeline; code = run_pipeline.main(sys.argv[1:]); "
        "sys.exit(code or 7 * bool({'torch', 'open_clip', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, "check", str(ROOT / "configs" / "r50.yaml")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    done = command("check", "missing.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert (
        done.stderr == "error: missing.yaml: cannot be read as a configuration: No such file or directory\n"
    )


# run ------------------------------------------------------------------------------------------------------


class Pretended:
    """Stands in for the supervisor: nothing is started."""

    seen: Config
    pointer: dict[str, Any]
    outcome: dict[str, dict[str, Any]] | Exception

    def __init__(self, config: Config, **options: Any) -> None:
        type(self).seen = config  # by a class that each test has of its own
        self.config = config.model_copy(
            update={"links": supervisor.resolved_links(config.links, Path("sockets"))}
        )
        self.watch: Callable[[Mapping[str, Node]], None] = options["watch"]

    def run(self) -> dict[str, dict[str, Any]]:
        out = Path(self.config.output.dir)
        self.watch({name: Node(name, None) for name in NODES})
        type(self).pointer = json.loads((out / POINTER).read_text())
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> type[Pretended]:
    class Fresh(Pretended):
        pass

    Fresh.outcome = {"recorder": {"results": 3, "first_result_wall_ns": 1, "objects": 2}}
    monkeypatch.setattr(running, "Supervisor", Fresh)
    return Fresh


WELL = "run --source clip.mp4 --weights stand-in --vocabulary dog --out out"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("run", "nothing to run: give --source FILE, webcam:0 or rtsp://… (or source.uri in a"),
        (
            "run --source clip.mp4 --model r50 --weights missing.pth",
            "missing.pth: no such checkpoint. Get `model_ov_avss_r50",
        ),
        ("run --source clip.mp4 --weights .", ".: no such checkpoint."),
        (f"{WELL} --vocabulary ','", "vocabulary: entry 1: found an empty word"),
        (f"{WELL} --vocabulary missing.yaml", "missing.yaml: cannot be read"),
        (
            f"{WELL} --model r5",
            "--model: model.name: found 'r5', expected one of edge, lessons, openavs, r50",
        ),
        (f"{WELL} --config missing.yaml", "missing.yaml: cannot be read as a configuration"),
        (f"{WELL} --set source.hop_s=0.3", "--set: source.hop_s: found 0.3, expected one of 1.0, 0.5"),
        (f"{WELL} --set links.control=tcp://0.0.0.0:7100", "others can reach this address, so it needs keys"),
        (
            f"{WELL} --set nodes.model.here=false --set links.control=tcp://127.0.0.1:7100",
            "a run with nodes elsewhere needs the addresses of its links: give links.snippets, links.feat",
        ),
    ],
)
def test_a_run_that_cannot_be_is_refused_before_anything_starts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str, told: str
) -> None:
    monkeypatch.setattr(running, "Supervisor", None)  # calling it would fail
    (found,) = errors(capsys, line)
    assert told in found
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("name", ["r50", "swinb"])
def test_without_weights_it_is_told_where_they_are_to_be_had(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (found,) = errors(capsys, f"run --source clip.mp4 --model {name}")
    assert found.startswith(f"model {name!r} has no weights here. Get `model_ov_avss_{name}.pth` from")
    assert "--weights PATH" in found
    assert "--weights stand-in" in found


def test_options_are_settings_and_go_over_the_file(pretended: type[Pretended]) -> None:
    Path("mine.yaml").write_text("source: {uri: other.mp4, id: cam}\nvocabulary: {words: [cat]}\n")
    line = f"{WELL} --config mine.yaml --pace realtime --model swinb --set source.hop_s=0.5"
    assert main(shlex.split(line)) == 0
    seen = pretended.seen
    assert (seen.source.uri, seen.source.id, seen.source.pace) == ("clip.mp4", "cam", "realtime")
    assert (seen.model.name, seen.model.backbone, seen.model.checkpoint) == ("swinb", "swinb", "stand-in")
    assert (seen.vocabulary.words, seen.output.dir, seen.source.hop_s) == ("dog", "out", 0.5)


def test_a_page_is_served_when_it_is_asked_for(pretended: type[Pretended]) -> None:
    Path("mine.yaml").write_text("viewer: {enabled: true, port: 0}\n")
    for more, enabled in {"": False, "--viewer": True, "--config mine.yaml": True}.items():
        assert main(shlex.split(f"{WELL} {more}")) == 0
        assert pretended.seen.viewer.enabled is enabled
    assert main(shlex.split(f"{WELL} --config mine.yaml --no-viewer")) == 0
    assert not pretended.seen.viewer.enabled


def test_a_page_for_others_without_a_token_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    found = errors(capsys, f"{WELL} --viewer --set viewer.host=0.0.0.0")
    assert [line.partition(": found")[0] for line in found] == ["--set: viewer.token", "--set: viewer.plain"]


def test_a_run_leaves_its_address_while_it_lasts(pretended: type[Pretended], tmp_path: Path) -> None:
    assert main(shlex.split(f"{WELL} --set links.keys=keys")) == 0
    assert pretended.pointer == {"control": "ipc://sockets/control", "keys": str(tmp_path / "keys")}
    assert list(Path("out").iterdir()) == []


def test_a_run_says_what_came_of_it(pretended: type[Pretended], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(WELL)) == 0
    told = capsys.readouterr()
    assert "NOTE: stand-in weights: every mask and label of this run is meaningless." in told.err
    assert "seconds processed" in told.out
    assert told.out.splitlines()[-2:] == [
        "written to out",
        "Stand-in weights: these masks and labels mean nothing.",
    ]
    assert main(shlex.split(f"{WELL} --quiet")) == 0
    assert capsys.readouterr().out == ""


def test_a_run_that_was_stopped_before_its_first_result_does_not_claim_one(
    pretended: type[Pretended], capsys: pytest.CaptureFixture[str]
) -> None:
    pretended.outcome = {name: {} for name in NODES}
    assert main(shlex.split(WELL)) == 0
    told = capsys.readouterr().out
    assert "ended before the first result" in told
    assert "written to" not in told


def test_a_node_that_failed_is_exit_code_1(
    pretended: type[Pretended], capsys: pytest.CaptureFixture[str]
) -> None:
    pretended.outcome = NodeFailure("the model node was killed by SIGKILL")
    assert main(shlex.split(WELL)) == 1
    told = capsys.readouterr()
    assert told.err.splitlines()[-1] == "error: the model node was killed by SIGKILL"
    assert told.out == ""
    assert list(Path("out").iterdir()) == []


def test_a_mistake_that_a_node_found_is_exit_code_2(
    pretended: type[Pretended], capsys: pytest.CaptureFixture[str]
) -> None:
    pretended.outcome = UserError("clip.mp4: cannot be read")
    assert main(shlex.split(WELL)) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "error: clip.mp4: cannot be read"


@pytest.mark.parametrize(
    ("out", "reason"), [("notes.txt", "File exists"), ("notes.txt/out", "Not a directory")]
)
def test_a_folder_that_cannot_be_written_is_one_line_and_leaves_nothing(
    tmp_path: Path, out: str, reason: str
) -> None:
    """In a process of its own: what it leaves in the folder for sockets is looked at when it has ended."""
    Path("notes.txt").write_text("mine")
    sockets = tmp_path / "s"
    sockets.mkdir()
    done = command(*shlex.split(f"{WELL} --out {out}"), env={**os.environ, "XDG_RUNTIME_DIR": str(sockets)})
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [
        f"error: {out}: cannot be written ({reason}); choose another --out"
    ]
    assert list(sockets.iterdir()) == []
    assert Path("notes.txt").read_text() == "mine"


def test_where_every_node_with_weights_is_elsewhere_none_are_needed_here(pretended: type[Pretended]) -> None:
    nodes = "".join(f"  {name}: {{here: false}}\n" for name in ("feature", "model", "classification"))
    links = "".join(f"  {name}: tcp://127.0.0.1:{7100 + i}\n" for i, name in enumerate(LINKS))
    Path("mine.yaml").write_text(f"nodes:\n{nodes}links:\n{links}")
    assert (
        main(shlex.split("run --source clip.mp4 --model r50 --vocabulary dog --out out --config mine.yaml"))
        == 0
    )
    assert pretended.seen.model.checkpoint is None


# node, keys, vocabulary -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("annotated", "missing"), [("true", LINKS), ("false", (*LINKS[:4], "control"))])
def test_a_node_by_itself_needs_addresses(
    capsys: pytest.CaptureFixture[str], annotated: str, missing: tuple[str, ...]
) -> None:
    (found,) = errors(capsys, f"node model --set output.annotated={annotated}")
    told = ", ".join(f"links.{link}" for link in missing)
    assert f"a node by itself needs the addresses of its links: give {told} in the configuration" in found


def test_a_node_is_started_as_configured_and_its_end_is_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    from nodes import start

    started: list[tuple[str, Config]] = []

    def begin(name: str, config: Config) -> int:
        started.append((name, config))
        return 5

    monkeypatch.setattr(start, "start", begin)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    expected = node_process.environment(3)  # what the supervisor gives to nodes of its own
    addresses = " ".join(f"--set links.{name}=tcp://127.0.0.1:{7100 + i}" for i, name in enumerate(LINKS))
    assert main(shlex.split(f"node feature {addresses} --set nodes.feature.threads=3")) == 5
    ((name, config),) = started
    assert (name, config.nodes.feature.threads) == ("feature", 3)
    assert {key: os.environ[key] for key in expected} == expected


def test_what_a_node_elsewhere_lacks_is_told_where_it_was_started(tmp_path: Path) -> None:
    """Its supervisor need not be there yet, and is on another screen anyway."""
    addresses = [f"--set=links.{name}=ipc://{tmp_path}/{name}" for name in LINKS]
    (tmp_path / "file").write_text("")
    done = command("node", "recorder", *addresses, "--set=output.dir=file/out")
    assert done.returncode == 2
    assert done.stderr == "error: file/out: cannot be made (Not a directory); choose another with --out\n"


def test_keys_are_made_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "mine"]) == 0
    assert "keys written to mine" in capsys.readouterr().out
    (found,) = errors(capsys, "keys mine")
    assert found == "mine: not empty, and keys are never overwritten: name another directory"


@pytest.mark.parametrize("content", [None, "", "no json", "[]", "{}", '{"control": "ipc://x"}'])
def test_where_nothing_runs_there_is_no_vocabulary(
    capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    Path("out").mkdir()
    if content is not None:
        (Path("out") / POINTER).write_text(content)
    (found,) = errors(capsys, "vocabulary --out out")
    assert found == "out: no pipeline is running there; give the --out of the run"


class Answering:
    """The control end of a run that writes to `out`, answering in a thread."""

    def __init__(self, folder: Path, answer: Any = None, error: str | None = None) -> None:
        self.server = ControlServer(f"ipc://{folder}/control", clock=Clock())
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._serve, args=(answer, error))
        links = load().links.model_copy(update={"control": f"ipc://{folder}/control"})
        self.pointer = announced(Path("out"), links)

    def _serve(self, answer: Any, error: str | None) -> None:
        while not self.over.is_set():
            for event in self.server.poll(0.05):
                assert isinstance(event, ClientRequest)
                self.asked.append((event.name, event.args))
                self.server.reply(event, answer, error)

    def __enter__(self) -> Answering:
        self.pointer.__enter__()
        self.thread.start()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.over.set()
        self.thread.join()
        self.pointer.__exit__(None, None, None)
        self.server.close()


def test_the_vocabulary_of_a_run_is_shown_and_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("words.yaml").write_text("- steam train\n- no\n")
    with Answering(tmp_path, {"revision": 2, "words": ["dog", "tuba"]}) as run:
        assert main(shlex.split("vocabulary --out out")) == 0
        assert main(shlex.split("vocabulary 'dog, tuba' --out out")) == 0
        assert main(shlex.split("vocabulary words.yaml --out out")) == 0
    assert run.asked == [
        ("vocabulary.get", {}),
        ("vocabulary.set", {"words": ["dog", "tuba"]}),
        ("vocabulary.set", {"words": ["steam train", "no"]}),
    ]
    assert capsys.readouterr().out == 3 * "revision 2: dog, tuba\n"
    assert not (Path("out") / POINTER).exists()


def test_a_vocabulary_that_cannot_be_is_refused_here_and_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Answering(tmp_path, error="classification is not there") as run:
        assert errors(capsys, "vocabulary 'dog,,cat' --out out") == [
            "vocabulary: entry 2: found an empty word, expected a word or phrase"
        ]
        assert run.asked == []
        assert errors(capsys, "vocabulary dog --out out") == ["classification is not there"]


# doctor ---------------------------------------------------------------------------------------------------


def test_the_doctor_finds_that_the_pipeline_can_run_here(tmp_path: Path) -> None:
    done = command("doctor", "--json", "--out", str(tmp_path / "out"))
    told = json.loads(done.stdout)
    problems = [one for findings in told["checks"].values() for one in findings if one["mark"] == "problem"]
    assert problems == []
    assert told["runs"] is True
    assert done.returncode == 0
    assert done.stderr == ""
    assert set(told["checks"]) == {
        "python", "packages", "model", "recordings", "cameras", "microphones", "folders", "ports", "limits"
    }  # fmt: skip
    assert all(told["checks"].values())
    assert not (tmp_path / "out").exists()


def test_the_doctor_itself_needs_nothing_of_what_it_looks_for(tmp_path: Path) -> None:
    """With the worst of machines: hardly a package can be loaded, and results would go into a file."""
    broken = {
        "cv2": "raise ImportError('libGL.so.1: cannot open shared object file')",
        "torch": "import os; os.abort()",
        **dict.fromkeys(("pydantic", "zmq", "yaml", "rich"), "raise ModuleNotFoundError('not here')"),
    }
    for name, code in broken.items():
        (tmp_path / f"{name}.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = command("doctor", "--out", str(tmp_path / "cv2.py"), env=env)
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    lines = [line.strip() for line in done.stdout.splitlines()]
    at = lines.index("PROBLEM cv2 cannot be loaded: ImportError: libGL.so.1: cannot open shared object file")
    assert lines[at + 1] == "-> apt install libgl1 libglib2.0-0"
    assert "PROBLEM loading torch: was killed by SIGABRT" in lines
    assert "Traceback" not in done.stdout
    assert lines[-1] == "The pipeline cannot run here before that is mended."


# A whole one that fails late ------------------------------------------------------------------------------


def test_an_address_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        assert main(shlex.split(f"{WELL} --set links.control={address}")) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith(f"error: {address}: cannot listen at this address: Address already in use")
    assert list(Path("out").iterdir()) == []
