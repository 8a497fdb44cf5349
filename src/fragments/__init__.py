"""Markdown fragments, each saying one thing once, and a file of macros for each target."""
