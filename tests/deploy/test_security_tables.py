"""The two tables of deploy/README.md: whole, and every file and test that they name is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "deploy" / "README.md"
ANSWERS = ("yes", "partly", "no", "not applicable")
KINDS = {"M", "R", "MC", "RC"}
OF_CLAUSE = {
    "5.1": 5, "5.2": 3, "5.3": 16, "5.4": 4, "5.5": 8, "5.6": 9, "5.7": 2, "5.8": 3, "5.9": 3, "5.10": 1, "5.11": 4,
    "5.12": 3, "5.13": 1, "6": 5,
}  # fmt: skip
"""How many provisions each clause of EN 303 645 V2.1.1 has."""


def rows(heading, columns):
    text = README.read_text(encoding="utf-8").partition(f"## {heading}")[2].partition("\n## ")[0]
    found = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row] for row in found[1:]]
    assert all(len(row) == columns for row in cells)
    return cells


PROVISIONS = rows("ETSI EN 303 645, provision by provision", 6)
CHECKS = rows("Thirty checks", 4)
PROOFS = sorted({proof for row in (*PROVISIONS, *CHECKS) for proof in re.findall(r"`([^`]+)`", row[-1])})


@cache
def names_in(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_provision_is_answered_once():
    wanted = ["4-1", *(f"{clause}-{number}" for clause, most in OF_CLAUSE.items() for number in range(1, most + 1))]
    assert [row[0] for row in PROVISIONS] == wanted
    assert {row[1] for row in PROVISIONS} <= KINDS


def test_there_are_thirty_checks():
    assert [row[0] for row in CHECKS] == [f"C{number}" for number in range(1, 31)]


@pytest.mark.parametrize("row", [*PROVISIONS, *CHECKS], ids=lambda row: row[0])
def test_an_answer_is_a_word_that_everybody_knows_and_has_a_proof(row):
    answer = row[3] if len(row) == 6 else row[2].partition(":")[0]
    assert answer in ANSWERS
    assert re.search(r"`[^`]+`", row[-1])


def test_what_is_not_met_has_its_reason():
    for row in PROVISIONS:
        assert row[3] == "yes" or row[4], row[0]


@pytest.mark.parametrize("proof", PROOFS)
def test_a_proof_is_there(proof):
    path, _, name = proof.partition("::")
    assert (ROOT / path).exists()
    if name:
        assert name in names_in(ROOT / path)
