"""Experiments and tools that show what Holdfast holds on to."""
