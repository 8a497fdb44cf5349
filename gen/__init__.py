"""The site's generated pages: thin, and the only package that knows MkDocs.

Importing this package silences two notices about MkDocs' future that installed packages would print at every build.
mkdocs.yml names `quiet`, so that the import comes before the theme is loaded.
"""

import os

os.environ.setdefault("NO_MKDOCS_2_WARNING", "true")
os.environ.setdefault("DISABLE_MKDOCS_2_WARNING", "true")

quiet = True
"""Named in mkdocs.yml for the sake of the import."""
