"""Every sentence that people are shown is there in Chinese, and no translation is of a sentence that nobody is shown."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

import hub.console
from hub.console.accounts.passwords import PasswordError, checked
from hub.console.web.functions import paragraphs
from hub.console.web.render import MENU
from hub.console.web.words import LANGUAGES, Words
from hub.model import Role

HERE = Path(hub.console.__file__).parent
FOREIGN = "foreign.po"
"""What pydantic and starlette say of what was typed."""
ERRORS = {
    "ConsoleError",
    "ForbiddenError",
    "NotFoundError",
    "ConflictError",
    "InvalidError",
    "UnavailableError",
    "PasswordError",
}


@cache
def in_templates() -> set[str]:
    """All `_("...")`, in text, in attributes and in what is given to macros."""
    environment = Environment(autoescape=True, extensions=["jinja2.ext.i18n"])
    found: set[str] = set()
    for path in (HERE / "templates").rglob("*.html"):
        for call in environment.parse(path.read_text("utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in {"_", "gettext", "say"}:
                found |= {each.value for each in literals(call.args[0])}
    return found


def literals(node: nodes.Node) -> list[nodes.Const]:
    """Also of `_("a" if x else "b")`."""
    consts = [node] if isinstance(node, nodes.Const) else []
    if isinstance(node, nodes.CondExpr):
        consts = [each for each in (node.expr1, node.expr2) if isinstance(each, nodes.Const)]
    return [each for each in consts if isinstance(each.value, str)]


@cache
def in_python() -> set[str]:
    """Sentences of errors, and of `say("...")`."""
    found: set[str] = set()
    for path in HERE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        # `what = "a" if x else "b"` before an error is raised with it.
        named: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                named.setdefault(node.targets[0].id, set()).update(texts(node.value, {}))
        for node in ast.walk(tree):
            for each in sentences(node):
                found |= texts(each, named)
    return found


def sentences(node: ast.AST) -> list[ast.expr]:
    """The arguments that people are shown."""
    if isinstance(node, ast.FunctionDef) and node.name == "__init__":
        return [each for each in node.args.defaults if isinstance(each, ast.Constant) and str(each.value).endswith(".")]
    if not isinstance(node, ast.Call):
        return []
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    if name in {"say", "_"}:
        return node.args[:1]
    if name in {"NotFoundError", "PasswordError"}:
        return node.args
    # `super().__init__(reason, sentence)` is an error class with a sentence of its own.
    return node.args[1:2] if name in ERRORS or name == "__init__" else []


def texts(node: ast.expr, named: dict[str, set[str]]) -> set[str]:
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp():
            return texts(node.body, named) | texts(node.orelse, named)
        case ast.JoinedStr():
            return {"".join(each.value if isinstance(each, ast.Constant) else "{}" for each in node.values)}
        case ast.Name() if node.id == "what":
            return named.get("what", set())
        case _:
            return set()


@cache
def shown() -> set[str]:
    everywhere = in_templates() | in_python()
    return {each for each in everywhere if each} | {title for _, title, _ in MENU} | {role.value for role in Role}


@cache
def catalogues() -> dict[str, set[str]]:
    found = {}
    for path in sorted((HERE / "words" / "zh").glob("*.po")):
        with path.open("rb") as file:
            found[path.name] = {str(entry.id) for entry in read_po(file, locale="zh") if entry.id}
    return found


def test_every_sentence_has_its_translation():
    known = set().union(*catalogues().values())
    assert sorted(each for each in shown() - known if not filled(each, known)) == []


def test_no_translation_is_unused():
    """A sentence is used where it stands in a template or script of the console's, or in Python of the hub's."""
    pages = [path for kind in ("*.html", "*.js") for path in HERE.rglob(kind) if "vendor" not in path.parts]
    sources = "\n".join([*(path.read_text("utf-8") for path in pages), *constants()])
    used = shown()
    unused = [
        f"{name}: {sentence}"
        for name, known in catalogues().items()
        if name != FOREIGN
        for sentence in sorted(known)
        if sentence not in used and sentence not in sources and not filled_in(sentence, sources)
    ]
    assert unused == []


@cache
def constants() -> set[str]:
    """Every text in the hub's Python and in the protocol's, also one that is written on several lines."""
    found: set[str] = set()
    for package in (HERE.parent, HERE.parent.parent / "protocol"):
        for path in package.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant | ast.JoinedStr):
                    found |= texts(node, {})
    # The description of the API shows docstrings, a paragraph on one line.
    return found | {line for text in found for line in paragraphs(text)}


def filled(sentence: str, known: set[str]) -> bool:
    """`12 to 256` where Python has `{LEAST} to {MOST}`."""
    pattern = re.escape(sentence).replace(r"\{\}", r"(\d+|\{\})")
    return "{}" in sentence and any(re.fullmatch(pattern, each) for each in known)


def filled_in(sentence: str, sources: str) -> bool:
    """A sentence with numbers in it is written with their limits' names: each piece between them stands somewhere."""
    pieces = [piece for piece in re.split(r"\d+", sentence) if piece.strip()]
    return len(pieces) > 1 and all(piece in sources for piece in pieces)


def test_each_sentence_is_translated_once():
    seen: dict[str, str] = {}
    for name, known in catalogues().items():
        for sentence in known:
            assert seen.setdefault(sentence, name) == name, f"{sentence!r} stands in {seen[sentence]} and in {name}"


@pytest.mark.parametrize("password", ["short", "a" * 20, "the name is li.na here"])
def test_what_is_said_of_a_password_is_said_in_chinese(password):
    with pytest.raises(PasswordError) as told:
        checked(password, name="li.na")
    assert chinese(Words().of("zh")(str(told.value)))


def chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def test_every_translation_is_chinese():
    for language in LANGUAGES:
        assert language in {"zh", "en"}
    say = Words().of("zh")
    wrong = [each for each in shown() if "{}" not in each and not chinese(say(each)) and each not in SAME]
    assert not wrong


SAME = {"OK", "API", "CSV", "XLSX", "PDF", "PNG", "ID", "A4", "A3"}
"""What Chinese readers write in the same way."""


def test_a_sentence_with_numbers_is_found_and_what_is_not_known_is_said_to_be_so():
    say = Words().of("zh")
    assert say("Too many tries. Wait 7 seconds.") == "尝试次数过多，请等待 7 秒。"
    assert say.knows("String should have at most 32 characters")
    assert not say.knows("a colour of the registry's")
    assert Words().of("en").knows("a colour of the registry's")
