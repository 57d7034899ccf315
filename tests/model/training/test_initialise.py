"""Initial weights: a Mask2Former of a shrunken size under its true names; ears; CLIP."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.checkpoint import checkpoint_name
from model.errors import ModelError
from model.localiser import Localiser
from model.options import Backbone
from model.training.initialise import clip_tensors, fill_audio_encoder, from_mask2former, listed
from tests.model.small import SMALL, untrained
from tests.model.training.toys import Ears

D = "sem_seg_head.pixel_decoder."
P = "sem_seg_head.predictor."


def decoder_names(encoder_layers: int = 2, decoder_layers: int = 4) -> list[str]:
    """The names in a Mask2Former with the deformable pixel decoder, but for the backbone's."""

    def both(*stems: str) -> list[str]:
        return [f"{stem}.{kind}" for stem in stems for kind in ("weight", "bias")]

    names = [f"{D}transformer.level_embed", f"{D}adapter_1.weight", f"{D}layer_1.weight"]
    names += both(*(f"{D}input_proj.{i}.{j}" for i in range(3) for j in range(2)))
    names += both(f"{D}mask_features", f"{D}adapter_1.norm", f"{D}layer_1.norm")
    for i in range(encoder_layers):
        layer = f"{D}transformer.encoder.layers.{i}"
        attention = ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
        names += both(*(f"{layer}.self_attn.{part}" for part in attention))
        names += both(*(f"{layer}.{part}" for part in ("norm1", "linear1", "linear2", "norm2")))
    for i in range(decoder_layers):
        for kind, inner in (("self", "self_attn"), ("cross", "multihead_attn")):
            layer = f"{P}transformer_{kind}_attention_layers.{i}"
            names += [f"{layer}.{inner}.in_proj_weight", f"{layer}.{inner}.in_proj_bias"]
            names += both(f"{layer}.{inner}.out_proj", f"{layer}.norm")
        layer = f"{P}transformer_ffn_layers.{i}"
        names += both(f"{layer}.linear1", f"{layer}.linear2", f"{layer}.norm")
    names += both(f"{P}decoder_norm", f"{P}class_embed", *(f"{P}mask_embed.layers.{i}" for i in range(3)))
    return [*names, f"{P}query_feat.weight", f"{P}query_embed.weight", f"{P}level_embed.weight"]


def mask2former(localiser: Localiser) -> dict[str, np.ndarray]:
    """Its content: other numbers in the shapes of this model, COCO's 80 classes in the head."""
    shapes = {
        checkpoint_name("localiser", own): tuple(value.shape) for own, value in localiser.state_dict().items()
    }
    rng = np.random.default_rng(0)
    names = [name for name in shapes if name.startswith("backbone.")] + decoder_names()
    content = {name: rng.uniform(0.01, 0.1, shapes[name]).astype(np.float32) for name in names}
    content[f"{P}class_embed.weight"] = np.ones((81, SMALL.channels), np.float32)
    content[f"{P}class_embed.bias"] = np.ones(81, np.float32)
    content["criterion.empty_weight"] = np.ones(81, np.float32)
    return content


def save(path: Path, content: dict[str, np.ndarray]) -> Path:
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps({"model": content, "__author__": "Third"}))
    else:
        torch.save({"model": {name: torch.from_numpy(x) for name, x in content.items()}}, path)
    return path


def published(localiser: Localiser) -> dict[str, Tensor]:
    return {checkpoint_name("localiser", own): x.clone() for own, x in localiser.state_dict().items()}


@pytest.mark.parametrize("backbone", ["r50", "swinb"])
@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
def test_all_that_mask2former_has_is_taken(tmp_path: Path, backbone: Backbone, suffix: str) -> None:
    localiser = untrained(backbone=backbone)
    before, content = published(localiser), mask2former(localiser)
    if backbone == "swinb":
        content["backbone.layers.0.blocks.0.attn.relative_position_index"] = np.zeros((9, 9), np.int64)
    done = from_mask2former(localiser, save(tmp_path / f"m{suffix}", content))
    after = published(localiser)
    for name in done.taken:
        np.testing.assert_array_equal(after[name], content[name])
    for name in done.drawn:
        assert torch.equal(after[name], before[name]), name
    assert {*done.taken, *done.drawn} == after.keys()
    # What only OV-AVSS has, and the head, which tells other things apart; each is listed, none forgotten.
    new = ("vl_layer", "audio", "v2a", "a2a", "class_embed")
    assert all(any(part in name for part in new) for name in done.drawn)
    assert not any(any(part in name for part in new) for name in done.taken)
    assert done.unused == (
        "sem_seg_head.predictor.class_embed.weight",
        "sem_seg_head.predictor.class_embed.bias",
    )


def test_names_of_its_first_publication_are_known(tmp_path: Path) -> None:
    localiser = untrained()
    content = mask2former(localiser)
    renamed = {
        name.replace("query_feat", "static_query").replace("sem_seg_head.pixel_decoder.", "sem_seg_head."): x
        for name, x in content.items()
    }
    assert "sem_seg_head.predictor.static_query.weight" in renamed
    assert "sem_seg_head.mask_features.weight" in renamed
    new = from_mask2former(untrained(), save(tmp_path / "new.pkl", content))
    old = from_mask2former(localiser, save(tmp_path / "old.pkl", renamed))
    assert set(old.taken) == set(new.taken)
    np.testing.assert_array_equal(
        localiser.audio_mask_dec.query_feat.weight.detach(), content[f"{P}query_feat.weight"]
    )


def test_what_a_file_lacks_stays_and_is_listed(tmp_path: Path) -> None:
    localiser = untrained()
    content = mask2former(localiser)
    del content[f"{D}mask_features.bias"]
    before = published(localiser)[f"{D}mask_features.bias"]
    done = from_mask2former(localiser, save(tmp_path / "m.pkl", content))
    assert f"{D}mask_features.bias" in done.drawn
    assert torch.equal(published(localiser)[f"{D}mask_features.bias"], before)


def test_another_shape_is_an_error_and_nothing_is_taken(tmp_path: Path) -> None:
    localiser = untrained()
    content = mask2former(localiser)
    content[f"{P}query_feat.weight"] = np.zeros((200, SMALL.channels), np.float32)
    before = published(localiser)
    with pytest.raises(
        ModelError, match=r"query_feat\.weight: found the shape \(200, 32\), expected \(12, 32\)"
    ):
        from_mask2former(localiser, save(tmp_path / "m.pkl", content))
    assert all(torch.equal(value, before[name]) for name, value in published(localiser).items())


def test_another_backbone_is_an_error(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pkl", mask2former(untrained(backbone="swinb")))
    with pytest.raises(ModelError, match=r"found no backbone\.stem\.conv1\.weight .* with the same backbone"):
        from_mask2former(untrained(), path)


def test_weights_that_are_no_numbers_are_told(tmp_path: Path) -> None:
    content = mask2former(untrained())
    content[f"{P}decoder_norm.bias"][3] = np.nan
    with pytest.raises(ModelError, match=r"decoder_norm\.bias: found NaN"):
        from_mask2former(untrained(), save(tmp_path / "m.pkl", content))


def test_names_that_differ_in_a_number_share_a_line() -> None:
    assert listed(("a.0.x", "a.1.x", "b", "a.12.y")) == ["a.*.x (2)", "b", "a.*.y"]


# Ears and names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "audio_encoder.audio_backbone."])
def test_ears_are_filled_from_either_file(tmp_path: Path, prefix: str) -> None:
    theirs, ours = Ears(), Ears()
    entries = {prefix + name: value for name, value in theirs.state_dict().items()}
    if prefix:
        entries = {"model": entries | {"backbone.stem.conv1.weight": torch.zeros(1)}}  # type: ignore[dict-item]
    torch.save(entries, tmp_path / "ears.pth")
    fill_audio_encoder(ours, tmp_path / "ears.pth")
    assert torch.equal(ours.projection.weight, theirs.projection.weight)


def test_ears_that_do_not_fit_are_told(tmp_path: Path) -> None:
    torch.save({"projection.weight": torch.zeros(16, 64)}, tmp_path / "ears.pth")
    with pytest.raises(ModelError, match=r"found no projection\.bias and lacks 1 entries in all of VGGish"):
        fill_audio_encoder(Ears(), tmp_path / "ears.pth")
    torch.save(
        {"projection.weight": torch.zeros(2, 64), "projection.bias": torch.zeros(16)}, tmp_path / "ears.pth"
    )
    with pytest.raises(
        ModelError, match=r"projection\.weight: found the shape \(2, 64\), expected \(16, 64\)"
    ):
        fill_audio_encoder(Ears(), tmp_path / "ears.pth")


def test_clip_is_named_as_the_authors_name_it(tmp_path: Path) -> None:
    model = nn.ModuleDict({"visual": nn.Linear(2, 3)})
    theirs = {name: value.half() for name, value in model.state_dict().items()}
    torch.save({**theirs, "input_resolution": torch.tensor(224)}, tmp_path / "clip.pt")
    found = clip_tensors(model, tmp_path / "clip.pt")
    assert set(found) == {"clip_adapter.clip_model.visual.weight", "clip_adapter.clip_model.visual.bias"}
    assert {value.dtype for value in found.values()} == {torch.float32}
    torch.save({"visual.weight": torch.zeros(3, 2)}, tmp_path / "clip.pt")
    with pytest.raises(ModelError, match=r"found no visual\.bias and lacks 1 entries in all of this CLIP"):
        clip_tensors(model, tmp_path / "clip.pt")
