"""A page to watch a run on, and what it is served by (docs/viewer.md)."""
