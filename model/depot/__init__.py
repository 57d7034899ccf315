"""Weights that do not come with the project: what there is, where it lies, how it is fetched.

Whoever needs some asks `found`; only `run_pipeline.py weights fetch` uses the network.
"""

from model.depot.shelf import found

__all__ = ["found"]
