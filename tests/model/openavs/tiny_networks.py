"""Foundation models of random weights and little size, in folders as they are published."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from tokenizers.pre_tokenizers import ByteLevel


def word_pieces(folder: Path) -> Any:
    """A tokenizer of BERT's kind that spells every word."""
    letters = [*string.ascii_lowercase, *string.punctuation]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{one}" for one in letters)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(pieces))
    return tf.BertTokenizer(vocab=str(folder / "vocab.txt"))


def grounding_dino(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = word_pieces(folder)
    backbone = tf.SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    words = tf.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    config = tf.GroundingDinoConfig(
        backbone_config=backbone, text_config=words, num_queries=12, encoder_layers=1, decoder_layers=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2,
        d_model=32, num_feature_levels=4, max_text_len=64,
    )  # fmt: skip
    tf.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    images = tf.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    tf.GroundingDinoProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def sam(folder: Path) -> Path:
    torch.manual_seed(0)
    config = tf.SamConfig(
        vision_config={
            "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 64, "num_pos_feats": 8, "global_attn_indexes": [0], "mlp_dim": 16, "window_size": 2,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
            "iou_head_depth": 2,
        },
    )  # fmt: skip
    tf.SamModel(config).save_pretrained(folder)
    images = tf.SamImageProcessor(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64})
    tf.SamProcessor(images).save_pretrained(folder)
    return folder


def sam2(folder: Path) -> Path:
    torch.manual_seed(0)
    config = tf.Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [64, 64],
                "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 1, 1], "window_size_per_stage": [8, 4, 4, 2],
                "global_attention_blocks": [3], "window_positional_embedding_background_size": [2, 2],
            },
            "backbone_channel_list": [64, 32, 16, 8], "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 16,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
            "iou_head_depth": 2,
        },
    )  # fmt: skip
    tf.Sam2Model(config).save_pretrained(folder)
    images = tf.Sam2ImageProcessor(size={"height": 64, "width": 64}, mask_size={"height": 16, "width": 16})
    tf.Sam2Processor(images).save_pretrained(folder)
    return folder


def noise(h: int, w: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (h, w, 3), np.uint8)


def byte_pieces(special: list[str]) -> dict[str, int]:
    """A vocabulary of GPT-2's kind that spells every word, after the special tokens."""
    pieces = [*special, *sorted(ByteLevel.alphabet())]
    return {piece: number for number, piece in enumerate(pieces)}


def clap(folder: Path) -> Path:
    torch.manual_seed(0)
    vocab = byte_pieces(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    config = tf.ClapConfig(
        text_config={
            "vocab_size": len(vocab), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "projection_dim": 16, "max_position_embeddings": 130,
        },
        audio_config={
            "spec_size": 64, "num_mel_bins": 16, "patch_embeds_hidden_size": 8, "depths": [1, 1],
            "num_attention_heads": [1, 1], "window_size": 4, "hidden_size": 16, "num_hidden_layers": 2,
            "projection_dim": 16,
        },
        projection_dim=16,
    )  # fmt: skip
    tf.ClapModel(config).save_pretrained(folder)
    tokenizer = tf.RobertaTokenizer(vocab=vocab, merges=[], model_max_length=128)
    sound = tf.ClapFeatureExtractor(
        feature_size=16, hop_length=1920, max_length_s=10, padding="repeatpad", truncation="rand_trunc"
    )
    tf.ClapProcessor(sound, tokenizer).save_pretrained(folder)
    return folder


def captioner(folder: Path) -> Path:
    torch.manual_seed(0)
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|translate|>"]
    special += ["<|notimestamps|>", "<|startofprev|>", "<|nospeech|>", "<|startoflm|>"]
    vocab = byte_pieces(special)
    tokenizer = tf.WhisperTokenizer(vocab=vocab, merges=[], language="en", task="transcribe")
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:]})
    config = tf.WhisperConfig(
        vocab_size=len(tokenizer), num_mel_bins=16, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        max_target_positions=96, pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=1,
        begin_suppress_tokens=None, suppress_tokens=None,
    )  # fmt: skip
    tf.WhisperForConditionalGeneration(config).save_pretrained(folder)
    sound = tf.WhisperFeatureExtractor(feature_size=16)
    tf.WhisperProcessor(sound, tokenizer).save_pretrained(folder)
    return folder
