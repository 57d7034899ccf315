"""Open-vocabulary classification (Section 3.4): cut-out objects and words meet in CLIP's embedding space.

`open_clip` describes the architecture only: the weights are given, nothing is downloaded, nothing is trained.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.pretrained import get_pretrained_cfg
from open_clip.transformer import Transformer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

import model.image_tower  # noqa: F401
from model.checkpoint import Weights
from model.errors import ModelError
from model.options import Precision
from model.precision import dtype_of
from model.prompts import TEMPLATES, SentenceTree, WordMemory, ensemble, fingerprint, prompts

# Architectures that open_clip does not have; it knows them by name from here on, and timm their image towers.
open_clip.add_model_config(Path(__file__).with_name("architectures"))

# The paper's epsilon in Eq. 6, as in the authors' code.
TEMPERATURE = 100.0


class OpenVocabularyClassifier:
    """A frozen CLIP that embeds regions and words as unit vectors.

    Args:
        name: an architecture of `open_clip`; OpenAI's weights want the `-quickgelu` names.
        weights: fills the part "clip"; the entries of OpenAI's checkpoints are those of `open_clip`.
        precision: of both towers; embeddings are float32 either way.
        cache_dir: where word embeddings are kept between runs, or None.

    Raises:
        ModelError: for an unknown name, or one whose tokenizer would have to be downloaded.
    """

    def __init__(
        self,
        name: str,
        weights: Weights,
        *,
        device: str | torch.device = "cpu",
        precision: Precision = "float32",
        templates: tuple[str, ...] = TEMPLATES,
        cache_dir: Path | None = None,
    ) -> None:
        self.name = name
        self.templates = templates
        self.device = torch.device(device)
        self.dtype = dtype_of(precision, self.device)
        self.tokenizer = _tokenizer(name)
        # Placed and rounded first, filled afterwards: the weights are never held twice.
        self.model: Any = build_clip(name).requires_grad_(False).eval().to(self.device, self.dtype)
        weights.fill("clip", self.model)
        self.image_size = _side(self.model)
        mean, std = pixel_statistics(name)
        self._mean = torch.tensor(mean, device=self.device).view(3, 1, 1)
        self._std = torch.tensor(std, device=self.device).view(3, 1, 1)
        # CLIP keeps its text tower's parts on itself, the newer classes in a module of their own.
        self._text: Any = getattr(self.model, "text", self.model)
        self.channels = int(open_clip.get_model_config(name)["embed_dim"])  # type: ignore[index]
        file = None
        if cache_dir is not None:
            entries = self.model.state_dict().items()
            text = {entry: tensor for entry, tensor in entries if not entry.startswith("visual.")}
            file = cache_dir / f"{fingerprint(name, text, templates)}.npz"
        self._memory = WordMemory(self.channels, file=file)

    @torch.no_grad()
    def encode_regions(self, regions: Tensor, *, batch: int = 8) -> Tensor:
        """Embed cut-out objects.

        Args:
            regions: RGB, 0 to 255. Shape: (V, 3, s, s); resized (bicubic) if `s` is not `image_size`.
            batch: how many go through the image tower at a time, which bounds memory.

        Returns:
            Unit vectors. Shape: (V, D), float32.
        """
        found = [self._encode_images(chunk) for chunk in regions.split(batch) if len(chunk)]
        return torch.cat(found) if found else torch.empty(0, self.channels, device=self.device)

    def encode_words(self, words: Sequence[str]) -> Tensor:
        """Embed words or phrases, each by its ensemble of prompts.

        A word is encoded by itself, so that its embedding does not depend, in the last bits, on the words
        it came with: results repeat exactly whatever was remembered.

        Returns:
            Unit vectors. Shape: (K, D), float32.
        """
        embeddings: dict[str, np.ndarray] = {}
        learnt = 0
        for word in dict.fromkeys(words):
            embedding = self._memory.get(word)
            if embedding is None:
                embedding = self._encode_word(word).cpu().numpy()
                self._memory.add(word, embedding)
                learnt += 1
                if learnt % 100 == 0:
                    self._memory.save()
            embeddings[word] = embedding
        if learnt % 100:
            self._memory.save()
        stacked = np.array([embeddings[word] for word in words], dtype=np.float32).reshape(-1, self.channels)
        return torch.from_numpy(stacked).to(self.device)

    def _encode_images(self, regions: Tensor) -> Tensor:
        images = regions.to(self.device, torch.float32) / 255
        if images.shape[-2:] != (self.image_size, self.image_size):
            size = (self.image_size, self.image_size)
            images = F.interpolate(images, size, mode="bicubic", align_corners=False, antialias=True)
        images = (images - self._mean) / self._std
        return F.normalize(self.model.encode_image(images.to(self.dtype)).float(), dim=-1)

    @torch.no_grad()
    def _encode_word(self, word: str) -> Tensor:
        tokens: Tensor = self.tokenizer(prompts(word, self.templates))  # (P, context)
        if is_causal(self._text):
            return ensemble(self._encode_tree(tokens).float())
        return ensemble(self.model.encode_text(tokens.to(self.device)).float())

    def _encode_tree(self, tokens: Tensor) -> Tensor:
        """What `encode_text` gives for `tokens`, at a fraction of the cost. Shape: (P, D)."""
        text = self._text
        ends = sentence_ends(text, tokens).tolist()
        sentences = [row[: end + 1] for row, end in zip(tokens.tolist(), ends, strict=True)]
        tree = SentenceTree.of(sentences)
        hidden = torch.zeros(tree.visible.shape, dtype=self.dtype).masked_fill_(~tree.visible, -torch.inf)
        x = text.token_embedding(tree.tokens.to(self.device))
        x = (x + text.positional_embedding[tree.positions.to(self.device)])[None]  # (1, N, C)
        x = text.transformer(x, attn_mask=hidden.to(self.device))[0]
        x = text.ln_final(x[tree.ends.to(self.device)])  # (P, C)
        projection = text.text_projection
        if projection is None:
            return x
        return projection(x) if isinstance(projection, nn.Module) else x @ projection


def probabilities(
    image_embeddings: Tensor, text_embeddings: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """How well each object fits each word, among these words (Eq. 6).

    Args:
        image_embeddings: unit vectors. Shape: (V, D).
        text_embeddings: unit vectors. Shape: (K, D).

    Returns:
        Shape: (V, K); rows sum to 1.
    """
    return (temperature * image_embeddings @ text_embeddings.T).softmax(dim=-1)


@dataclass(frozen=True)
class Pair:
    """A query given a class, as the authors' code decides; a query may get several classes."""

    query: int
    class_index: int
    score: float


def reference_pairs(
    image_embeddings: Tensor,
    query_of: Tensor,
    text_embeddings: Tensor,
    *,
    temperature: float = TEMPERATURE,
    keep: int = 10,
    threshold: float = 0.3,
) -> list[Pair]:
    """The decision of the authors' code: the sounding scores have no say.

    Logits are averaged over a query's valid frames and softmaxed over the vocabulary; of all (query, class)
    pairs the best `keep` remain, of those the ones above `threshold`, best first.

    Args:
        image_embeddings: of the valid (frame, query) pairs. Shape: (V, D).
        query_of: the query of each. Shape: (V,), int64.
        text_embeddings: Shape: (K, D).
    """
    if not len(query_of):
        return []
    logits = temperature * image_embeddings @ text_embeddings.T  # (V, K)
    queries, member = query_of.unique(return_inverse=True)
    mean = logits.new_zeros(len(queries), logits.shape[1]).index_add_(0, member, logits)
    mean /= member.bincount()[:, None]
    scores, order = mean.softmax(dim=-1).flatten().sort(descending=True, stable=True)
    return [
        Pair(int(queries[place // logits.shape[1]]), place % logits.shape[1], score)
        for score, place in zip(scores[:keep].tolist(), order[:keep].tolist(), strict=True)
        if score > threshold
    ]


def paint(pairs: Sequence[Pair], masks: Tensor) -> Tensor:
    """A label map from pairs, best first: where masks overlap, the better pair stays on top.

    Args:
        masks: what each query covers. Shape: (Q, ...), bool; usually (Q, T, H, W).

    Returns:
        0 for background, else class index + 1. Shape: (...), int64.
    """
    labels = torch.zeros(masks.shape[1:], dtype=torch.int64, device=masks.device)
    for pair in pairs:
        labels[masks[pair.query] & (labels == 0)] = pair.class_index + 1
    return labels


def build_clip(name: str) -> nn.Module:
    """The architecture `name` with whatever was in memory for weights: every entry is to be filled."""
    _config(name)
    quiet = logging.root.manager.disable
    logging.disable(logging.WARNING)  # open_clip warns that there are no weights, which is the point
    try:
        with torch.random.fork_rng(devices=[]), _Unfilled():
            return open_clip.create_model(name, pretrained=None, load_weights=False)
    finally:
        logging.disable(quiet)


def is_causal(text: Any) -> bool:
    """Whether a text tower is CLIP's: each token sees the ones before it, and the last one speaks for all."""
    pool = getattr(text, "text_pool_type", getattr(text, "pool_type", None))
    return (
        isinstance(getattr(text, "transformer", None), Transformer)
        and getattr(text, "attn_mask", None) is not None
        and getattr(text, "cls_emb", None) is None
        and pool in ("argmax", "eos")
    )


def sentence_ends(text: Any, tokens: Tensor) -> Tensor:
    """The position whose state a causal text tower takes for the sentence. Shape: (P, L) -> (P,)."""
    if getattr(text, "text_pool_type", getattr(text, "pool_type", None)) == "eos":
        return (tokens == getattr(text, "text_eos_id", getattr(text, "eos_id", None))).int().argmax(dim=-1)
    return tokens.argmax(dim=-1)  # the end-of-text token has the highest number


def pixel_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The pixel mean and standard deviation that the published weights of `name` were trained with.

    OpenAI's where none are published, or where those published differ.
    """
    published = [get_pretrained_cfg(name, tag) for tag in open_clip.list_pretrained_tags_by_model(name)]
    known = {(tuple(entry["mean"]), tuple(entry["std"])) for entry in published}
    return known.pop() if len(known) == 1 else (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD)


class _Unfilled(TorchFunctionMode):
    """Leaves parameters as allocated: drawing 150 million random numbers to overwrite them takes seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        module = getattr(func, "__module__", "")
        if module == "torch.nn.init" or func in (Tensor.normal_, Tensor.uniform_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def _config(name: str) -> dict[str, Any]:
    config = open_clip.get_model_config(name) if name in open_clip.list_models() else None
    if config is None:
        near = difflib.get_close_matches(name, open_clip.list_models(), n=3, cutoff=0.5)
        hint = f"; close to it: {', '.join(near)}" if near else ""
        raise ModelError(f"CLIP model: found {name!r}, expected one that open_clip knows{hint}")
    text = config["text_cfg"]
    if text.get("hf_tokenizer_name") or text.get("hf_model_name") or "siglip" in name.lower():
        raise ModelError(
            f"CLIP model: {name} needs a tokenizer that open_clip does not carry, and nothing is downloaded "
            "here; choose a model with CLIP's own tokenizer, such as ViT-B-16-quickgelu"
        )
    return config


def _tokenizer(name: str) -> Any:
    _config(name)
    return open_clip.get_tokenizer(name)


def _side(model: Any) -> int:
    size = model.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise ModelError(f"CLIP model: expected a square image, found {height} x {width}")
    return int(height)
