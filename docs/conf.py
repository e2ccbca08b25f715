"""Settings of Sphinx for the docs site, which is built from README.md and the other pages where they are.

Sphinx's source folder is the checkout, so a link between two pages works on the site as it does on GitHub. `nox -s
site` builds the site; each warning of Sphinx's, such as a broken link, fails the build.
"""

import sys
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

SOURCES = "https://github.com/deepchecks/deepchecks-telemetry/blob/main"
# The order in the sidebar; a page that is not named here comes last.
PAGES = (
    "docs/telemetry docs/what-we-collect docs/cli docs/install-offline docs/air-gapped docs/administrators "
    "docs/deployment docs/for-auditors docs/fleet docs/for-maintainers docs/architecture docs/spool "
    "docs/uploading docs/threat-model docs/performance SECURITY CHANGELOG CONTRIBUTING"
).split()

project = "deepchecks-telemetry"
author = "Deepchecks"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md"]
exclude_patterns = [".*", "build", "dist"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = project
html_copy_source = False
html_use_index = False


def refuse_network(event: str, args: tuple[object, ...]) -> None:
    """Fail a build that would look up a host or connect to one."""
    if event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto"}:
        raise RuntimeError(f"the build of the site must not use the network: {event} {args}")


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the sidebar's list of pages to the README, where GitHub would show it as text."""
    if page == root_doc:
        found = app.env.found_docs - {root_doc}
        pages = [name for name in PAGES if name in found] + sorted(found.difference(PAGES))
        source[0] += "\n\n```{toctree}\n:hidden:\n\n" + "\n".join(pages) + "\n```\n"


def link_sources(app: Sphinx, tree: nodes.document) -> None:
    """Link a file or folder that is not a page to GitHub; one that does not exist stays, and is reported."""
    checkout, here = Path(app.srcdir), Path(tree["source"]).parent
    for found in [*tree.findall(addnodes.download_reference), *tree.findall(addnodes.pending_xref)]:
        path = (here / found["reftarget"]).resolve()
        if not found.get("refdomain") and path.exists():
            where = f"{SOURCES}/{path.relative_to(checkout).as_posix()}"
            found.replace_self(nodes.reference("", "", *found.children, refuri=where, internal=False))


def add_index(app: Sphinx, error: Exception | None) -> None:
    """Lead from the site's address to the README."""
    if error is None:
        text = f'<!doctype html><title>{project}</title><meta http-equiv="refresh" content="0; url={root_doc}.html">\n'
        (Path(app.outdir) / "index.html").write_text(text, "utf-8")


def setup(app: Sphinx) -> None:
    """Connect the functions; link_sources runs before Sphinx collects the files that it copies."""
    sys.addaudithook(refuse_network)
    app.connect("source-read", add_contents)
    app.connect("doctree-read", link_sources, priority=100)
    app.connect("build-finished", add_index)
