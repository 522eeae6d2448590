"""Firedoor: when the alarm sounds, the fire door closes by itself."""

__version__ = "0.1.0"
