"""Publish a fine-tune from one experiment record: site, Hub bundle, README and the experiment itself."""
