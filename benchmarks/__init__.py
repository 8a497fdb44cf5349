"""Ratios of speed, for the project's authors; tests make no claims about it."""
