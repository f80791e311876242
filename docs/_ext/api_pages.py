"""Reference pages of the API: one page a package, with everything it exports.

A name that no package exports, and that :data:`EXTRA_MODULES` does not add, is on no
page and therefore private.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging

import pacs_sdk

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

__all__ = ["rejoin_at_colon", "resolve_by_short_name", "tidy_signature", "write_pages"]

_logger = logging.getLogger(__name__)

EXTRA_MODULES = (
    "pacs_sdk.integration.added_services",
    "pacs_sdk.integration.archive_hooks",
    "pacs_sdk.integration.pacs",
    "pacs_sdk.integration.phantom",
    "pacs_sdk.integration.preview",
    "pacs_sdk.integration.windows",
    "pacs_sdk.network.dimse",
    "pacs_sdk.storage.objects.backend",
    "pacs_sdk.testing.plugin",
)
"""Modules that users import by their own name, beside the packages."""


@attrs.frozen
class Export:
    """One name that a package exports."""

    package: str
    """The package, as users write it in an import."""
    name: str
    """The name in it."""
    value: Any
    """What the name stands for."""

    @property
    def home(self) -> str:
        """The module that defines it; empty for a constant or a type alias."""
        if inspect.isclass(self.value) or inspect.isroutine(self.value):
            return str(self.value.__module__)
        return ""

    @property
    def is_fixture(self) -> bool:
        """Whether it is a pytest fixture, which tests name as a parameter and nobody calls."""
        return type(self.value).__module__ == "_pytest.fixtures"

    @property
    def directive(self) -> str:
        """The autodoc directive that fits it."""
        if inspect.isclass(self.value):
            return "autoexception" if issubclass(self.value, Exception) else "autoclass"
        return "autofunction"


def write_pages(source: Path) -> None:
    """Write ``reference/api/*.rst`` anew; a page that did not change keeps its time."""
    folder = source / "reference" / "api"
    folder.mkdir(exist_ok=True)
    exports = [export for module in _public_modules() for export in _exports_of(module)]
    wanted = {}
    for module in _public_modules():
        if module.__all__:
            wanted[f"{module.__name__}.rst"] = "\n".join(_page(module, exports)) + "\n"
    for stale in folder.glob("*.rst"):
        if stale.name not in wanted:
            stale.unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def _public_modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(pacs_sdk.__path__, "pacs_sdk.")
    names = [one.name for one in found if one.ispkg or one.name in EXTRA_MODULES]
    modules = [importlib.import_module(name) for name in ("pacs_sdk", *names)]
    return [module for module in modules if hasattr(module, "__all__")]


def _exports_of(module: ModuleType) -> Iterator[Export]:
    for name in module.__all__:
        if not name.startswith("__"):
            yield Export(module.__name__, name, getattr(module, name))


def _page(module: ModuleType, everything: list[Export]) -> Iterator[str]:
    title = module.__name__
    yield from (title, "=" * len(title), "", f".. automodule:: {title}", "   :no-members:", "")
    elsewhere = []
    for export in _exports_of(module):
        owner = _owner(export, everything)
        if owner != title:
            elsewhere.append(f"``{export.name}`` (:py:obj:`{owner}.{export.name}`)")
        elif export.is_fixture:
            yield from _fixture(export)
        elif export.home:
            yield from _documented(export, everything)
        else:
            yield from _data(export)
    if elsewhere:
        yield f"Exported here as well: {', '.join(elsewhere)}."


def _documented(export: Export, everything: list[Export]) -> Iterator[str]:
    yield f".. {export.directive}:: {export.package}.{export.name}"
    if inspect.isclass(export.value):
        yield "   :members:"
        ours = [one for one in export.value.__bases__ if one.__module__.startswith("pacs_sdk.")]
        if not all(any(one is other.value for other in everything) for one in ours):
            yield "   :inherited-members:"  # from a base that has no page of its own
        elif export.value.__bases__ != (object,):
            yield "   :show-inheritance:"
        if issubclass(export.value, enum.Enum):
            yield "   :undoc-members:"
    yield ""


def _fixture(export: Export) -> Iterator[str]:
    yield f".. py:data:: {export.package}.{export.name}"
    yield f"   :type: {inspect.get_annotations(inspect.unwrap(export.value))['return']}"
    yield ""
    for line in inspect.cleandoc(export.value.__doc__ or "").splitlines():
        yield f"   {line}".rstrip()
    yield ""


def _owner(export: Export, everything: list[Export]) -> str:
    """Name the package on whose page an export is described: the one nearest its home."""
    if not export.home:
        same = [one for one in everything if one.name == export.name and one.value is export.value]
        return max((one.package for one in same), key=len)
    if not export.home.startswith("pacs_sdk"):
        return export.home
    near = [
        one.package
        for one in everything
        if one.value is export.value and f"{export.home}.".startswith(f"{one.package}.")
    ]
    return max(near, key=len, default=export.home)


def _data(export: Export) -> Iterator[str]:
    """Describe a constant or a type alias with the text that stands below it."""
    yield f".. py:data:: {export.package}.{export.name}"
    yield ""
    for line in _text_below(export):
        yield f"   {line}".rstrip()
    yield ""


def _text_below(export: Export) -> list[str]:
    package = importlib.import_module(export.package)
    names = [export.package]
    if hasattr(package, "__path__"):
        names += [one.name for one in pkgutil.walk_packages(package.__path__, f"{export.package}.")]
    for name in names:
        documented = ModuleAnalyzer.for_module(name).find_attr_docs()
        if ("", export.name) in documented:
            return documented["", export.name]
    _logger.warning("%s.%s has no text below it that describes it", export.package, export.name)
    return []


def tidy_signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: Any,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None] | None:
    """Show what a caller has to know of a signature, and what Python hides of it.

    Nobody calls a protocol or an enumeration; a default that attrs makes anew for each
    object has no text; and a function behind ``@edge`` returns a result of what its
    body returns, while ``functools.wraps`` makes it look like the body.
    """
    if inspect.isclass(obj):
        if getattr(obj, "_is_protocol", False) or issubclass(obj, enum.Enum):
            return "", None
        return signature and signature.replace("=NOTHING", "=...").replace(
            "= NOTHING", "= ..."
        ), returns
    if callable(obj) and _is_edge(inspect.unwrap(obj, stop=_is_edge)):
        return signature, f"PacsResult[{returns}]"
    return None


def _is_edge(function: Any) -> bool:
    return getattr(getattr(function, "__code__", None), "co_name", "") == "at_edge"


def rejoin_at_colon(
    app: Sphinx, what: str, name: str, obj: Any, options: object, lines: list[str]
) -> None:
    """Undo napoleon's reading of "Words: more words" as the type of an attribute.

    Types stand in annotations here, so a type field is always the start of a sentence.
    """
    if what not in ("attribute", "data", "property"):
        return
    for number, line in enumerate(lines):
        if line.startswith(":type: "):
            del lines[number]
            lines[0] = f"{line.removeprefix(':type: ')}: {lines[0]}"
            return


def resolve_by_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: Element
) -> Element | None:
    """Link a name of ours that is written without the package that exports it.

    Docstrings and signatures name things as the code does, by the bare name or the
    module that defines it; the pages describe them under the package that exports them.
    """
    if node.get("refdomain") != "py" or not node.get("reftarget"):
        return None
    domain = env.domains.python_domain
    short = str(node["reftarget"]).lstrip("~.").removesuffix("()").rpartition(".")[2]
    found = [name for name in domain.objects if name.rpartition(".")[2] == short]
    top = [name for name in found if domain.objects[name].objtype not in _MEMBERS]
    if len(top) != 1:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", top[0], node, contnode)


_MEMBERS = ("attribute", "method", "property", "classmethod", "staticmethod")
