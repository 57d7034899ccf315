"""The third lesson: what things are called. A small CLIP learns to bring cut-out things and words together.

Every picture is held against all names at once, each in one of the sentences that the classifier will use. At
times a thing goes by another of its names; and AVSBench's names of things that the world does not have take
part as well, so that no picture comes to fit them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import open_clip
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.avsbench_ov import NAMES
from model.classifier import TEMPERATURE, pixel_statistics
from model.prompts import TEMPLATES, prompts
from model.training.task import Task, seed_for
from model.training.tiny.colours import mirrored, recoloured
from model.training.tiny.cutouts import cut_out
from model.training.tiny.stock import Stock
from model.training.tiny.tags import tags
from model.training.tiny.thaw import thaw
from model.training.tiny.words import other_words, token_embeddings


@dataclass(frozen=True, kw_only=True)
class NamingOptions:
    """The lesson, `batches` long; shares are of that."""

    batch_size: int = 96
    batches: int = 1
    seed: int = 42
    full_colours: float = 0.6
    first_temperature: float = 30.0  # it ends with the classifier's own
    other_word: float = 0.3  # how often a thing goes by another name


class NamingBatch(NamedTuple):
    images: Tensor  # (B, 3, side, side) float, 0 to 255
    which: Tensor  # (B,) number of the name
    sentences: Tensor  # (names, tokens), one about each name
    temperature: Tensor  # ()


class Naming(nn.Module):
    """Cut-outs told apart by the sentences about them; called as the trainer calls."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, clip: Any) -> None:
        super().__init__()
        self.clip = clip
        mean, std = pixel_statistics(name)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, batch: NamingBatch, totals: None) -> dict[str, Tensor]:
        images = (batch.images / 255 - self.mean) / self.std
        images = images.contiguous(memory_format=torch.channels_last)
        seen = F.normalize(self.clip.encode_image(images).float(), dim=-1)
        with torch.autocast(images.device.type, enabled=False):
            read = F.normalize(self.read(batch.sentences), dim=-1)
        logits = batch.temperature * seen @ read.T
        loss = F.cross_entropy(logits, batch.which, label_smoothing=0.02)
        return {"loss": loss, "right": (logits.argmax(1) == batch.which).float().mean()}

    def read(self, sentences: Tensor) -> Tensor:
        """`encode_text`, over no more of the context than the longest sentence takes."""
        clip, length = self.clip, sentences.shape[1]
        x = clip.token_embedding(sentences) + clip.positional_embedding[:length]
        x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:length, :length]))
        ends = sentences.argmax(dim=-1)  # the end-of-text token has the highest number
        return x[torch.arange(len(x), device=x.device), ends] @ clip.text_projection


class NamingTask(Task):
    """Teaches a CLIP of open_clip's from a stock of gallery pictures."""

    def __init__(
        self, clip_name: str, stock: Stock, options: NamingOptions, backbone: nn.Module | None = None
    ) -> None:
        """`backbone` is what the image tower begins as, where it is the localiser's."""
        self.stock, self.options = stock, options
        torch.manual_seed(seed_for(options.seed))
        clip: Any = open_clip.create_model(clip_name, pretrained=None, load_weights=False)
        tokenizer: Any = open_clip.get_tokenizer(clip_name)
        width = clip.token_embedding.embedding_dim
        clip.token_embedding.weight.data.copy_(token_embeddings(tokenizer, width))
        clip.token_embedding.requires_grad_(False)
        clip.logit_scale.requires_grad_(False)
        nn.init.normal_(clip.positional_embedding, std=0.1)
        if backbone is not None:
            clip.visual.trunk.backbone.load_state_dict(backbone.state_dict())
        thaw(clip.visual)
        self.side = int(clip.visual.image_size[0])
        self.module: Naming = Naming(clip_name, clip)
        self.batch_size = options.batch_size
        self.facts = {"clips": len(stock)}
        names = [*tags(), *sorted(set(NAMES) - set(tags()))]
        self._number_of = {name: number for number, name in enumerate(names)}
        # Of each name the sentences, by every name that it goes by: its own first.
        called = [[name, *(other_words(name) if name in tags() else [])] for name in names]
        rows = [tokenizer(prompts(word)) for words in called for word in words]
        length = int(torch.stack(rows).count_nonzero(-1).max())
        sentences = iter(rows)
        self._sentences = [torch.stack([next(sentences)[:, :length] for _ in words]) for words in called]

    def batch(self, number: int) -> NamingBatch:
        options = self.options
        done = number / options.batches
        rng = np.random.default_rng((options.seed, number))
        images, which = [], []
        for _ in range(options.batch_size):
            clip, thing = self.stock.draw_thing(rng)
            mask = self.stock.shown[clip, 0] == thing + 1
            images.append(cut_out(rng, self.stock.frames[clip, 0], mask, self.side))
            which.append(self._number_of[self.stock.names[clip][thing]])
        generator = torch.Generator().manual_seed(seed_for(options.seed, number))
        pictures = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        temperature = options.first_temperature + done * (TEMPERATURE - options.first_temperature)
        return NamingBatch(
            recoloured(mirrored(pictures, generator), min(1.0, done / options.full_colours), generator),
            torch.tensor(which),
            torch.stack([self._sentence(rng, about) for about in self._sentences]),
            torch.tensor(temperature),
        )

    def _sentence(self, rng: np.random.Generator, about: Tensor) -> Tensor:
        """One of the sentences (words, templates, tokens) about a thing."""
        other = len(about) > 1 and rng.uniform() < self.options.other_word
        word = int(rng.integers(1, len(about))) if other else 0
        return about[word, int(rng.integers(len(TEMPLATES)))]

    def parts(self) -> Mapping[str, nn.Module]:
        return {"clip": self.module.clip}
