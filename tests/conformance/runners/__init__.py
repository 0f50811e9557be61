"""One file an engine: `version()`, and `run(path, feeds, outputs)`, which gives the outputs in that order or
raises."""
