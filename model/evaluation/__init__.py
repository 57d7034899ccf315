"""What a model is worth on clips with known truth: offline, a clip at a time; streamed, second by second.

`evaluate` runs predictors over sets of clips and returns their scores; `run_pipeline.py evaluate` is the
command. What each score means is told in docs/evaluation.md.
"""
