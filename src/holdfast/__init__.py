"""Holdfast runs commands on other machines and does not let go."""
