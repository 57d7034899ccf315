"""Weights in the authors' layout: every name, every fault told, and nothing run that a file brings along."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from model.checkpoint import PARTS, CheckpointWeights, StandInWeights, checkpoint_name, open_weights
from model.errors import ModelError
from model.localiser import Localiser
from model.options import Backbone, LocaliserOptions
from model.standin import seeded_tensor
from model.vggish import VGGish
from tests.model.small import untrained

PARITY = Path(__file__).parents[2] / ".." / "shared" / "parity"
STATUS = Path("/proc/self/status")


class Other(nn.Module):
    """What stands for the audio encoder and for CLIP, whose own shapes do not matter here."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        self.logit_scale = nn.Parameter(torch.zeros(()))


def published(backbone: Backbone = "r50") -> dict[str, Tensor]:
    """Entries named as the authors name theirs, those without a use here among them."""
    modules: dict[str, nn.Module] = {
        "localiser": untrained(backbone=backbone),
        "audio_encoder": Other(),
        "clip": Other(),
    }
    shapes = {
        checkpoint_name(part, own): tuple(value.shape)
        for part, module in modules.items()
        for own, value in module.state_dict().items()
    }
    entries = {name: torch.from_numpy(seeded_tensor(name, shape, 5)) for name, shape in shapes.items()}
    entries["clip_adapter.pixel_mean"] = torch.zeros(1, 3, 1, 1)
    entries["clip_adapter.pixel_std"] = torch.ones(1, 3, 1, 1)
    entries["criterion.empty_weight"] = torch.ones(2)
    return entries


def save(path: Path, entries: dict[str, Tensor]) -> Path:
    torch.save({"model": entries, "iteration": 96_227}, path)
    return path


@pytest.fixture
def entries() -> dict[str, Tensor]:
    return published()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pth"


# Names ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not PARITY.is_dir(), reason="the published names ../shared/parity/*.keys.txt are absent")
@pytest.mark.parametrize("backbone", ["r50", "swinb"])
def test_names_and_shapes_are_the_published_ones(backbone: Backbone) -> None:
    content = (PARITY / f"localise_{backbone}.keys.txt").read_text()
    lines = (line.split("\t") for line in content.splitlines() if line)
    expected = {name: shape for name, shape in lines if not name.endswith("relative_position_index")}
    with torch.device("meta"):
        modules = {"localiser": Localiser(LocaliserOptions(backbone=backbone)), "audio_encoder": VGGish()}
    ours = {
        checkpoint_name(part, own): str(tuple(value.shape))
        for part, module in modules.items()
        for own, value in module.state_dict().items()
    }
    assert ours == expected


@pytest.mark.parametrize(
    ("part", "own", "expected"),
    [
        ("localiser", "backbone.stem.conv1.norm.running_var", "backbone.stem.conv1.norm.running_var"),
        (
            "localiser",
            "early_fusion.exchange.gate_audio",
            "sem_seg_head.pixel_decoder.transformer.encoder.vl_layer.b_attn.gamma_l",
        ),
        (
            "localiser",
            "pixel_decoder.layers.3.self_attn.sampling_offsets.bias",
            "sem_seg_head.pixel_decoder.transformer.encoder.layers.3.self_attn.sampling_offsets.bias",
        ),
        (
            "localiser",
            "audio_mask_dec.layers.8.audio.in_proj_weight",
            "sem_seg_head.predictor.transformer_audio_cross_attention_layers.8.multihead_attn.in_proj_weight",
        ),
        ("localiser", "audio_mask_dec.audio_self.norm.bias", "sem_seg_head.predictor.a2a.norm.bias"),
        ("audio_encoder", "features.0.weight", "audio_encoder.audio_backbone.features.0.weight"),
        ("clip", "visual.conv1.weight", "clip_adapter.clip_model.visual.conv1.weight"),
    ],
)
def test_a_name_of_each_kind(part: str, own: str, expected: str) -> None:
    assert checkpoint_name(part, own) == expected


@pytest.mark.parametrize("backbone", ["r50", "swinb"])
def test_no_two_entries_share_a_name_and_each_is_in_its_own_part(backbone: Backbone) -> None:
    own = list(untrained(backbone=backbone).state_dict())
    names = [checkpoint_name("localiser", name) for name in own]
    assert len(set(names)) == len(own)
    assert all(name.startswith(PARTS["localiser"]) for name in names)


def test_an_unknown_part_has_no_names() -> None:
    with pytest.raises(KeyError, match="viewer"):
        checkpoint_name("viewer", "weight")


# Loading -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("backbone", ["r50", "swinb"])
def test_what_was_saved_comes_back(tmp_path: Path, backbone: Backbone, kind: str) -> None:
    entries = published(backbone)
    path = tmp_path / ("model.safetensors" if kind == "safetensors" else "model.pth")
    if kind == "safetensors":
        save_file(entries, path)
    else:
        torch.save({"model": entries}, path, _use_new_zipfile_serialization=kind == "zip")
    weights = CheckpointWeights(path)
    modules = {"localiser": untrained(backbone=backbone), "audio_encoder": Other(), "clip": Other()}
    for part, module in modules.items():
        weights.fill(part, module)
        for own, value in module.state_dict().items():
            assert torch.equal(value, entries[checkpoint_name(part, own)]), own


def test_entries_that_can_be_derived_may_be_there(path: Path) -> None:
    entries = published("swinb")
    table, index = "relative_position_bias_table", "relative_position_index"
    derived = {
        name.replace(table, index): torch.zeros(9, 9).long() for name in entries if name.endswith(table)
    }
    assert derived
    assert not derived.keys() & entries.keys()
    swin = untrained(backbone="swinb")
    CheckpointWeights(save(path, entries | derived)).fill("localiser", swin)
    # The file's is not taken: this one was all zero.
    attention = swin.get_submodule("backbone.layers.0.blocks.0.attn")
    assert attention.get_buffer("relative_position_index").any()


def test_a_part_does_not_mind_what_another_lacks(path: Path, entries: dict[str, Tensor]) -> None:
    only = {name: value for name, value in entries.items() if name.startswith(PARTS["audio_encoder"])}
    weights = CheckpointWeights(save(path, only))
    weights.fill("audio_encoder", Other())
    with pytest.raises(ModelError, match=r"does not fit this model's clip; .*--model.*: 5 missing"):
        weights.fill("clip", Other())


@pytest.mark.skipif(not STATUS.exists(), reason="this system does not tell a process's memory in /proc")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_node_reads_its_own_part_only(tmp_path: Path, suffix: str, entries: dict[str, Tensor]) -> None:
    def memory_mib() -> float:
        return int(re.findall(r"RssAnon:\s+(\d+) kB", STATUS.read_text())[0]) / 1024

    path = tmp_path / f"model{suffix}"
    entries["clip_adapter.clip_model.large"] = torch.ones(64, 1024, 256)  # 64 MiB
    save_file(entries, path) if suffix == ".safetensors" else save(path, entries)
    del entries["clip_adapter.clip_model.large"]
    before = memory_mib()
    weights = CheckpointWeights(path)
    weights.fill("audio_encoder", Other())
    assert memory_mib() - before < 16


# Faults --------------------------------------------------------------------------------------------------

OWN = "audio_encoder.audio_backbone.features."


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({OWN + "0.bias": None}, f"1 missing ({OWN}0.bias)"),
        ({OWN + "0.bias": None, OWN + "2.bias": None}, f"2 missing ({OWN}0.bias, {OWN}2.bias)"),
        ({OWN + "7.bias": torch.zeros(1)}, f"1 extra ({OWN}7.bias)"),
        ({OWN + "0.weight": torch.zeros(3, 4)}, f"1 misshapen ({OWN}0.weight (3, 4) instead of (4, 3))"),
        (
            {OWN + "0.bias": None, OWN + "7.bias": torch.zeros(1), OWN + "2.bias": torch.zeros(9)},
            f"1 missing ({OWN}0.bias); 1 extra ({OWN}7.bias); 1 misshapen ({OWN}2.bias (9,) instead of (2,))",
        ),
    ],
)
def test_faults_are_listed_by_name(
    path: Path, entries: dict[str, Tensor], change: dict[str, Tensor | None], told: str
) -> None:
    for name, value in change.items():
        if value is None:
            del entries[name]
        else:
            entries[name] = value
    weights = CheckpointWeights(save(path, entries))
    module = Other()
    before = {own: value.clone() for own, value in module.state_dict().items()}
    with pytest.raises(ModelError) as error:
        weights.fill("audio_encoder", module)
    hint = "if it is of another model, choose that with --model (model.name)"
    assert str(error.value) == f"{path}: does not fit this model's audio_encoder; {hint}: {told}"
    assert all(torch.equal(before[own], value) for own, value in module.state_dict().items())


def test_another_backbone_or_window_does_not_fit(path: Path, entries: dict[str, Tensor]) -> None:
    weights = CheckpointWeights(save(path, entries))
    with pytest.raises(ModelError, match=r"missing \(backbone.layers.0.*extra \(backbone.res2"):
        weights.fill("localiser", untrained(backbone="swinb"))
    with pytest.raises(
        ModelError, match=r"1 misshapen \(\S+audio_query_embed.weight \(5, .* instead of \(8, "
    ):
        weights.fill("localiser", untrained(window=8))


def test_entries_of_no_part_are_listed(path: Path, entries: dict[str, Tensor]) -> None:
    with pytest.raises(ModelError, match=r"not an OV-AVSS checkpoint: 2 extra \(head.bias, head.weight\)"):
        CheckpointWeights(save(path, {"head.bias": torch.zeros(1), **entries, "head.weight": torch.zeros(1)}))


@pytest.fixture
def trap(tmp_path: Path) -> SimpleNamespace:
    """An object whose unpickling would create a file."""
    sprung = tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (sprung,)

    return SimpleNamespace(object=Trap(), sprung=sprung)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_refused_and_not_run(path: Path, trap: SimpleNamespace, zipped: bool) -> None:
    content = {"model": {"backbone.x": torch.zeros(1)}, "trainer": trap.object}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="cannot be read as a checkpoint") as error:
        CheckpointWeights(path)
    assert not trap.sprung.exists()
    assert "weights_only" not in str(error.value)  # PyTorch's own advice is to switch the protection off


def damaged(path: Path, entries: dict[str, Tensor], how: str) -> None:
    match how:
        case "truncated":
            content = save(path, entries).read_bytes()
            path.write_bytes(content[: len(content) // 2])
        case "text":
            path.write_text("Not Found\n")
        case "empty":
            path.write_bytes(b"")
        case "beginning of an archive":
            path.write_bytes(b"PK")
        case "safetensors by another name":
            save_file(entries, path)


@pytest.mark.parametrize(
    "how", ["truncated", "text", "empty", "beginning of an archive", "safetensors by another name"]
)
def test_a_file_of_another_kind_is_told_in_one_line(path: Path, entries: dict[str, Tensor], how: str) -> None:
    damaged(path, entries, how)
    with pytest.raises(ModelError) as error:
        CheckpointWeights(path)
    message = str(error.value)
    assert message.startswith(f"{path}: cannot be read as a checkpoint")
    assert "\n" not in message
    assert "expected" in message


def test_a_damaged_safetensors_file(tmp_path: Path, entries: dict[str, Tensor]) -> None:
    path = tmp_path / "model.safetensors"
    for content in (b"", b"text", save(tmp_path / "other.pth", entries).read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
            CheckpointWeights(path)


@pytest.mark.parametrize(
    "content",
    [
        {"backbone.x": torch.zeros(1)},
        {"state_dict": {"backbone.x": torch.zeros(1)}},
        {"model": [torch.zeros(1)]},
        {"model": {"backbone.x": 1.0}},
        {"model": {0: torch.zeros(1)}},
        [torch.zeros(1)],
        torch.zeros(1),
    ],
)
def test_tensors_are_expected_under_model(path: Path, content: object) -> None:
    torch.save(content, path)
    with pytest.raises(ModelError, match="expected a dictionary of tensors under 'model'"):
        CheckpointWeights(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for absent in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(ModelError, match="no such checkpoint"):
            open_weights(str(absent))


# Choosing ------------------------------------------------------------------------------------------------


def test_weights_are_a_file_or_a_stand_in_but_never_nothing(path: Path, entries: dict[str, Tensor]) -> None:
    with pytest.raises(ModelError, match="no weights"):
        open_weights(None)
    assert isinstance(open_weights(str(save(path, entries))), CheckpointWeights)
    stand_in = open_weights("stand-in", salt=4)
    assert isinstance(stand_in, StandInWeights)
    other = Other()
    stand_in.fill("clip", other)
    expected = seeded_tensor("clip_adapter.clip_model.features.0.weight", (4, 3), 4)
    assert torch.equal(other.features[0].weight, torch.from_numpy(expected))
