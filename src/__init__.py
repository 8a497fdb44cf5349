"""Publish a fine-tune from one experiment record: site, Hub bundle, README and the experiment itself."""

ENGINE = "one-record"
"""Name of the engine, whatever project it serves."""

VERSION = "0.1.0"
"""Its version, which a new project notes."""
