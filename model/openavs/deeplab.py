"""Text to mask by DeepLabV3 with MobileNetV2: the twenty things of PASCAL VOC, seen at 513 pixels.

It finds everything it knows in one pass, so nouns choose among what it found. Things of one kind that stand
apart are one region: it tells kinds from each other, not individuals.

The published file takes squares, and says of each pixel which kind is the likeliest. `fitted` makes one for a
picture's own shape of it, which has no margin to compute, and ends before that: with the scores themselves.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from model.errors import ModelError
from model.openavs.interfaces import Region
from model.openavs.litert import Network, require_litert

SIDE = 513
STRIDE = 16  # of the scores, whose first and last are those of the picture's edges
LIKELIEST = 2  # of the classes at each step are taken for possible
SHAPES_KEPT = 4  # networks for so many shapes of pictures; another one takes 50 ms
# VOC's classes in their order, by the nouns of the translation table.
NOUNS = (
    "background", "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "table", "dog", "horse", "motorcycle", "person", "plant", "sheep", "sofa", "train", "television",
)  # fmt: skip


class DeepLab:
    """Raises `ModelError` for a file that is not this network."""

    nouns: frozenset[str] | None = frozenset(NOUNS[1:])

    def __init__(self, path: Path, threads: int = 1) -> None:
        require_litert()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror})") from error

        def network(height: int, width: int) -> Network:
            return Network(path, (1, height, width, 3), threads, content=fitted(path, content, height, width))

        self._network = lru_cache(SHAPES_KEPT)(network)
        self._network(SIDE, SIDE)  # so that another file is told now, and not at the first picture

    def regions(self, image: NDArray[np.uint8], nouns: Collection[str]) -> dict[str, Region]:
        """A picture (H, W, 3), RGB -> what of VOC is in it and asked for, at the picture's size."""
        coarse = self.scores(image)
        # Between its steps, a picture shows nothing that is not among the likeliest at one of them.
        likely = coarse.topk(LIKELIEST, dim=0).indices.unique()
        size = (image.shape[0], image.shape[1])
        scores = F.interpolate(coarse[likely][None], size, mode="bilinear", align_corners=True)[0]
        best, second = scores[0], torch.full_like(scores[0], -torch.inf)
        for one in scores[1:]:
            best, second = torch.maximum(best, one), torch.maximum(second, torch.minimum(best, one))
        found, taken = {}, torch.zeros_like(best, dtype=torch.bool)
        for one, number in zip(scores, likely.tolist(), strict=True):
            mask = (one == best) & ~taken
            taken |= mask
            if number and NOUNS[number] in nouns and mask.any():
                soft = (one - torch.where(mask, second, best)).sigmoid()
                found[NOUNS[number]] = Region(mask.numpy(), float(mask.float().mean()), soft.numpy())
        return found

    def scores(self, image: NDArray[np.uint8]) -> torch.Tensor:
        """Of a picture (H, W, 3), RGB: logits of the classes of VOC, a step about 16 pixels of 513.

        Shape: (21, h, w), float32; the outer ones are those of the picture's edges.
        """
        h, w = image.shape[:2]
        height, width = (STRIDE * max(1, round(SIDE * side / max(h, w) / STRIDE)) + 1 for side in (h, w))
        network = self._network(height, width)
        fine = cv2.INTER_AREA if height < h else cv2.INTER_LINEAR
        steps = network(cv2.resize(image, (width, height), interpolation=fine)[None])[0]
        return torch.from_numpy((steps.astype(np.float32) - network.zero) * network.scale).permute(2, 0, 1)


def fitted(path: Path, content: bytes, height: int, width: int) -> bytes:
    """The network for pictures of another shape, that ends with scores at every 16th pixel.

    Whatever it says of how large its pictures are is said anew: the window of the pooling over the whole
    picture, and what is spread over the whole picture after it.

    Args:
        height, width: multiples of 16, and one more.

    Raises:
        ModelError: it is not this network.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    steps = np.array([(side - 1) // STRIDE + 1 for side in (height, width)], np.int32)
    try:
        model: Any = schema.ModelT.InitFromPackedBuf(content, 0)
        (graph,) = model.subgraphs
        kinds = [model.operatorCodes[operator.opcodeIndex].builtinCode for operator in graph.operators]
        published = (
            tuple(graph.tensors[graph.inputs[0]].shape),
            len(graph.tensors[graph.operators[-1].inputs[0]].shape),
        )
        ends = [schema.BuiltinOperator.RESIZE_BILINEAR, schema.BuiltinOperator.ARG_MAX]
        is_it = published == ((1, SIDE, SIDE, 3), 4) and kinds[-2:] == ends
    except Exception as error:  # of any kind: nothing checks a file before it is unpacked
        raise ModelError(f"{path}: not a TensorFlow Lite network ({type(error).__name__})") from error
    if not is_it:
        raise ModelError(f"{path}: found another network, expected DeepLabV3 for pictures of {SIDE} x {SIDE}")
    del graph.operators[-2:]
    graph.outputs = [graph.operators[-1].outputs[0]]
    graph.tensors[graph.inputs[0]].shape = np.array([1, height, width, 3], np.int32)
    for operator in graph.operators:
        options = operator.builtinOptions
        if isinstance(options, schema.Pool2DOptionsT):
            options.filterHeight, options.filterWidth = (int(side) for side in steps)
        if isinstance(options, schema.ResizeBilinearOptionsT):
            size = graph.tensors[operator.inputs[1]]
            model.buffers[size.buffer].data = np.frombuffer(steps.tobytes(), np.uint8)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
