"""The sub-commands of `run_pipeline.py`: what each of them does, and what it wants to be told."""
