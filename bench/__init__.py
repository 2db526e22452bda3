"""Measurements of speed and cost: ``make bench``, ``make profile``."""
