"""Results for others, while a run goes on: as a stream, as events, as figures (docs/outputs.md)."""
