"""Changes beyond cosmic-ray's own: statements, arguments, operands and SQL, which is where this code's promises stand.

Each function lists the texts that may stand in the place of one node of parso's tree.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

import re
from collections.abc import Callable, Iterator, Sequence

from parso.python.tree import Name
from parso.tree import NodeOrLeaf

Rewritings = Callable[[NodeOrLeaf], Iterator[str]]

NOTHING = "__import__('contextlib').nullcontext()"
LOOPS = {"for_stmt", "sync_comp_for"}
NO_STATEMENT = {"string", "strings", "import_name", "import_from", "keyword", "expr_stmt", "return_stmt"}

SQL = re.compile(r"\b(SELECT|UPDATE|INSERT|DELETE|FROM|WHERE|AND|SET|VALUES|PRAGMA|ORDER BY)\b|[a-z_]+ = (NULL|0|\?)")
# What is put in the place of what: conditions, the order, the bounds, single assignments.
SQL_CHANGES = [
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\bAND\b", "OR"),
        (r"\bOR\b(?! REPLACE)", "AND"),
        (r"\bNOT IN\b", "IN"),
        (r"(?<!NOT )\bIN \(", "NOT IN ("),
        (r"(?<=WHERE )\w+(?= (=|<|>|IN|%))", "1 OR \\g<0>"),
        (r"(?<=AND )\w+ = \?", "? = ?1"),
        (r" = ", " != "),
        (r"<=|>=|!=", "="),
        (r"\+", "-"),
        (r"% 2 = (\d)", "% 2 = 9"),
        (r"\bDISTINCT ", ""),
        (r" DESC\b", ""),
        (r" ORDER BY [\w, ]+?(?= LIMIT|$)", ""),
        (r"(?<=ORDER BY )(\w+), (\w+)", "\\2, \\1"),
        (r"\bmax\(", "min("),
        (r"\bsum\(", "max("),
        (r"'[a-z]+'", "'mutant'"),
        (r"\w+ = (NULL|0), ", ""),
        (r", \w+ = (NULL|0)$", ""),
        (r" UNION SELECT \w+ FROM \w+", ""),
        (r" WHERE .*$", ""),
        (r"\b(ON|OFF|MEMORY)\b", "DEFAULT"),
    )
]


class Operator:
    """cosmic-ray's face of one function of this module: its class and its instance at once."""

    def __init__(self, rewritings: Rewritings) -> None:
        self._rewritings = rewritings

    def __call__(self) -> "Operator":
        return self

    def arguments(self) -> Sequence[object]:
        return ()

    def mutation_positions(self, node: NodeOrLeaf) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        return [(node.start_pos, node.end_pos) for _ in self._rewritings(node)]

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        text = list(self._rewritings(node))[index]
        return Name(text, node.start_pos, prefix=node.get_first_leaf().prefix)


def _inside(node: NodeOrLeaf, kind: str) -> bool:
    return node.parent is not None and node.parent.type == kind


def no_statement(node: NodeOrLeaf) -> Iterator[str]:
    """A call, a raise, a deletion is left out."""
    if _inside(node, "simple_stmt") and node.type not in NO_STATEMENT and node.type != "newline":
        yield "pass"


def no_value(node: NodeOrLeaf) -> Iterator[str]:
    """None is answered."""
    if node.type == "return_stmt" and len(node.children) == 2 and node.children[1].get_code().strip() != "None":
        yield "return None"


def no_keyword(node: NodeOrLeaf) -> Iterator[str]:
    """An argument that has a name is not passed."""
    if node.type == "argument" and node.children[1].get_code().strip() == "=":
        yield "**{}"


def no_element(node: NodeOrLeaf) -> Iterator[str]:
    """A set, what is looped over or caught, or a table of the module lacks one of its elements."""
    if node.type == "operator" or not (_inside(node, "testlist_comp") or _inside(node, "dictorsetmaker")):
        return
    literal, signs = node.parent.parent, {child.get_code().strip() for child in node.parent.children}
    before = literal.get_previous_leaf()
    looped = before is not None and before.value == "in" and literal.parent.type in LOOPS
    caught = _inside(literal, "except_clause")
    of_module = node.search_ancestor("funcdef", "classdef", "trailer") is None
    is_set = literal.type == "atom" and literal.children[0].value == "{"
    if "," in signs and ":" not in signs and (is_set or looped or caught or of_module or node.type == "star_expr"):
        yield "*()"


def no_handler(node: NodeOrLeaf) -> Iterator[str]:
    """Nothing is caught."""
    if _inside(node, "except_clause") and node.get_previous_sibling() == "except" and node.type != "atom":
        yield "()"


def no_operand(node: NodeOrLeaf) -> Iterator[str]:
    """One side of `and` and `or` says nothing."""
    if node.type != "keyword" or node.get_code().strip() not in {"and", "or"}:
        if _inside(node, "and_test"):
            yield "True"
        if _inside(node, "or_test"):
            yield "False"


def other_membership(node: NodeOrLeaf) -> Iterator[str]:
    """What is in a set is taken for what is not."""
    if _inside(node, "comparison") and node.get_code(include_prefix=False) in {"in", "not in"}:
        yield "in" if node.type == "comp_op" else "not in"


def no_filter(node: NodeOrLeaf) -> Iterator[str]:
    """A comprehension takes all."""
    if node.type == "comp_if":
        yield "if True"


def no_context(node: NodeOrLeaf) -> Iterator[str]:
    """A lock is not taken, a transaction not begun."""
    if _inside(node, "with_stmt") and node.type in {"atom_expr", "power", "name"}:
        yield NOTHING


def other_text(node: NodeOrLeaf) -> Iterator[str]:
    """Another text stands there; in SQL one word, one condition, one assignment is another."""
    if node.type not in {"string", "fstring_string"} or _inside(node, "simple_stmt"):
        return
    code = node.get_code(include_prefix=False)
    if SQL.search(code):
        yield from _other_sql(code)
    elif node.type == "string":
        yield ("b" if code.startswith("b") else "") + '"mutant"'


def _other_sql(code: str) -> Iterator[str]:
    text, quote = (code, "") if code[0] != '"' else (code[1:-1], '"')
    for pattern, new in SQL_CHANGES:
        for found in pattern.finditer(text):
            yield quote + text[: found.start()] + found.expand(new) + text[found.end() :] + quote


PROVIDER = {
    function.__name__: Operator(function)
    for function in (
        no_statement,
        no_value,
        no_keyword,
        no_element,
        no_handler,
        no_operand,
        other_membership,
        no_filter,
        no_context,
        other_text,
    )
}
