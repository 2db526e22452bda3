"""Measurements of speed and cost: ``python -m bench``."""
