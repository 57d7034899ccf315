"""House rules, held by test: who may import what, what a newcomer is promised, what no file may hold."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import run_pipeline
from commands.arguments import parser
from model.vocabulary import Vocabulary
from streaming.config import load

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("commands", "streaming", "nodes", "model")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONFIGS = sorted(ROOT.glob("configs/*.yaml"))
DOCS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
WEIGHTS = {".safetensors", ".pth", ".pt", ".ckpt", ".npz", ".onnx", ".tflite"}


# Of the model's modules, those that read a configuration as everybody does, and what they may use for it.
# Whoever imports one of them has the sockets of streaming behind it, unused.
FRONT_DOORS = {"model/training/config.py", "model/training/command.py", "model/evaluation/command.py"}
READING = {"streaming.complaints", "streaming.config", "streaming.errors", "streaming.settings"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Who may import what --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("streaming", {"torch", "torchvision", "torchaudio", "open_clip", "timm", "nodes"}),
        ("model", {"zmq", "nodes"}),
    ],
)
def test_a_room_imports_nothing_that_is_not_its_business(room: str, forbidden: set[str]) -> None:
    modules = sorted(ROOT.glob(f"{room}/**/*.py"))
    written = {
        (name_of(path), root) for path in modules for root in imported_roots(path) if root in forbidden
    }
    assert not written

    doors = {dotted(ROOT / name) for name in FRONT_DOORS}
    names = [dotted(path) for path in modules if not doors & {dotted(path), *imported(path)}]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[2:]: importlib.import_module(name)\n"
        "print(*sorted(set(sys.modules) & set(sys.argv[1].split())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, " ".join(forbidden), *names],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_of_the_model_only_the_world_and_front_doors_know_streaming() -> None:
    """The world writes films and mask codes as everybody does, commands read what is set; what the papers
    describe stands alone."""
    for path in ROOT.glob("model/**/*.py"):
        known = {name for name in imported(path) if name.split(".")[0] == "streaming"}
        if not name_of(path).startswith("model/world/"):
            assert known <= (READING if name_of(path) in FRONT_DOORS else set()), name_of(path)


def dotted(path: Path) -> str:
    """The name by which a module is imported."""
    return name_of(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def imported_roots(path: Path) -> Iterator[str]:
    """The top-level names of everything a module imports, in functions too."""
    yield from (name.split(".")[0] for name in imported(path))


def imported(path: Path) -> Iterator[str]:
    """The full names of all modules that a module imports from, in functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_every_module_opens_with_its_thought() -> None:
    modules = [
        path for room in (*ROOMS, "tools", "benchmarks") for path in sorted(ROOT.glob(f"{room}/**/*.py"))
    ]
    texts = {name_of(path): path.read_text(encoding="utf-8") for path in [ROOT / "run_pipeline.py", *modules]}
    assert [name for name, text in texts.items() if text and not ast.get_docstring(ast.parse(text))] == []


# What a newcomer is promised ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_configuration_passes_check(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_pipeline.main(["check", str(path)]) == 0, capsys.readouterr().err


def test_presets_that_are_promised_are_there() -> None:
    assert {path.stem for path in CONFIGS} >= {"demo", "replay", "edge", "r50", "swinb"}


@pytest.mark.parametrize("path", [*DOCS, *CONFIGS], ids=name_of)
def test_commands_in_the_text_are_ones_the_program_takes(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for command in re.findall(r"python run_pipeline\.py ([^`\n]+)", text):
        arguments = shlex.split(command, comments=True)
        try:
            parser().parse_args(arguments)
        except SystemExit as stopped:
            assert stopped.code == 0, f"{name_of(path)}: python run_pipeline.py {command}"  # noqa: PT017
        for argument in arguments:
            assert not argument.startswith(("configs/", "media/")) or (ROOT / argument).is_file(), argument
    for module in re.findall(r"python -m ([\w.]+)", text):
        assert importlib.util.find_spec(module), f"{name_of(path)}: python -m {module}"


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_make_commands_in_the_text_are_targets(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert (
        set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)) <= targets
    )


def test_readme_opens_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert 0 < readme.index("make demo") < readme.index("make test") < 3000


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (path.parent / target).exists(), f"{name_of(path)}: {target}"


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_yaml_in_the_text_is_valid(path: Path, tmp_path: Path) -> None:
    """Every block marked `yaml` is a configuration, or a file of words."""
    for number, block in enumerate(
        re.findall(r"^```yaml\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    ):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block, encoding="utf-8")
        content = yaml.safe_load(block)
        if isinstance(content, list) or set(content) == {"words"}:
            assert len(Vocabulary.load(file)) > 0
        else:
            load(file)


@pytest.mark.parametrize("room", ROOMS)
def test_the_map_names_every_module(room: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = [path for path in sorted(ROOT.glob(f"{room}/**/*.py")) if path.name != "__init__.py"]
    assert [
        name for path in modules if f"`{(name := name_of(path).removeprefix(f'{room}/'))}`" not in text
    ] == []


def test_licence_is_there_and_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    for part in (
        "Apache License",
        "Version 2.0, January 2004",
        "9. Accepting Warranty",
        "END OF TERMS AND CONDITIONS",
    ):
        assert part in text


def test_ci_can_be_executed() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)


# Dependencies ---------------------------------------------------------------------------------------------


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    matches = {
        line: re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)", line)
        for line in lines
        if not line.startswith("#")
    }
    assert [line for line, match in matches.items() if not match] == []
    return {canonicalize_name(match[1]): match[2] for match in matches.values() if match}


@pytest.mark.parametrize(
    "requirement", [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
)
def test_constraints_satisfy_the_ranges(requirement: str) -> None:
    wanted = Requirement(requirement)
    if wanted.name == PROJECT["name"]:
        assert wanted.extras <= set(PROJECT["optional-dependencies"])
        return
    assert pins()[canonicalize_name(wanted.name)] in wanted.specifier


def test_makefile_takes_the_pythons_that_the_project_takes() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"\((\d+), (\d+)\) <= sys\.version_info < \((\d+), (\d+)\)", makefile)
    assert found
    assert SpecifierSet(f">={found[1]}.{found[2]},<{found[3]}.{found[4]}") == SpecifierSet(
        PROJECT["requires-python"]
    )


# What no file may hold ------------------------------------------------------------------------------------


def shipped() -> list[Path]:
    """The files of the repository: what git tracks, not what happens to lie about."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"what is shipped is known to git alone, and git says: {listed.stderr.strip()}")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_weights_are_few_and_other_files_small() -> None:
    sizes = {name_of(path): path.stat().st_size for path in shipped()}
    weights = {name: size for name, size in sizes.items() if Path(name).suffix in WEIGHTS}
    assert sum(weights.values()) < 25_000_000
    assert [name for name, size in sizes.items() if name not in weights and size > 3_000_000] == []


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(
            r"\b(pypi|pythonhosted|download\.pytorch|registry\.npmjs|deb\.debian)\.org", id="package index"
        ),
        pytest.param(r"(?<![\w.])/(work|root|home|Users|tmp)/", id="path of one machine"),
    ],
)
def test_no_file_names_what_only_one_machine_has(what: str) -> None:
    pattern = re.compile(what.encode())
    contents = {name_of(path): path.read_bytes() for path in shipped()}
    found = [name for name, content in contents.items() if b"\0" not in content and pattern.search(content)]
    assert found == []
