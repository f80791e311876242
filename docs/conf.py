"""Sphinx configuration: MyST pages, executed notebooks, the PyData theme; works offline."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import api_pages  # after the line that makes them importable
import cli_page
import conformance_page
import generated_tables
import sop_class_table
import state_diagram
import transfer_syntax_table

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "pacs_sdk"
author = "the pacs_sdk authors"
copyright = author
release = version = importlib.metadata.version("pacs-sdk")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "_ext"]

# -- pages and notebooks ---------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "deflist", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {
    "error_table": generated_tables.error_table(),
    "settings_table": generated_tables.settings_table(),
    "sop_class_set_table": sop_class_table.sop_class_set_table(),
    "sop_class_table": sop_class_table.sop_class_table(),
    "state_diagram": state_diagram.state_diagram(),
    "state_table": generated_tables.state_table(),
    "transfer_syntax_table": transfer_syntax_table.transfer_syntax_table(),
}

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_execution_timeout = 120

# -- reference -------------------------------------------------------------------------

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autoclass_content = "class"
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# -- HTML ------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = f"pacs_sdk {release}"
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "pacs_sdk"},
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
}


def write_generated_pages(app: Sphinx) -> None:
    """Write the pages that are made from the code, before Sphinx looks for pages."""
    api_pages.write_pages(Path(app.srcdir))
    cli_page.write_page(Path(app.srcdir))
    conformance_page.write_page(Path(app.srcdir))


def setup(app: Sphinx) -> None:
    """Have pages written, names linked, and what autodoc shows tidied."""
    app.connect("builder-inited", write_generated_pages)
    app.connect("autodoc-process-signature", api_pages.tidy_signature)
    app.connect("autodoc-process-docstring", api_pages.rejoin_at_colon, priority=900)
    app.connect("missing-reference", api_pages.resolve_by_short_name)
