"""Clips from disk: the readers of AVSBench's layouts, and what training does to a clip before it is shown.

`read_avsbench_ov`, `read_semantic`, `read_s4` and `read_ms3` each return a `ClipSet`; `TrainingClips` draws
from one. The worlds of `model.world` are laid out as AVSBench-OV is, so the first reads those too.
"""
