"""Benchmark suites: context size and cost against answer accuracy."""
