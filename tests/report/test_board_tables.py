import csv
import io
import re
import shutil
import subprocess

import pytest

from segjax.report._text import number
from segjax.report.board import to_csv, to_latex, to_markdown
from tests.report.board_sample import document


FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1")
MARKUP = ("a|b", "*a*", "_a_", "[a](http://x.y)", "<img src=x>", "`a`", "a\nb", "\\", "www.x.y")
TEX = ("\\input{/etc/passwd}", "a_b^c", "50%", "$x$ & #1", "{~}", "[1ex]", "* a", '"a"', "a\n\nb")


def named(names, **more):
    """A board whose models have these names."""
    board = document(len(names), 20, 1, extras=False, **more)
    new = {m["name"]: name for m, name in zip(board["models"], names, strict=True)}

    def renamed(value):
        if isinstance(value, dict):
            return {k: renamed(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [renamed(v) for v in value]
        return new.get(value, value) if isinstance(value, str) else value

    return renamed(board)


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_a_row_per_measure_and_model_with_the_numbers_of_the_document():
    board = document(4, 20, 3, excluded=1)
    found = rows(to_csv(board))
    expected = [(r["measure"], row) for r in board["results"] for row in r["table"]]
    assert len(found) == 12
    for line, (measure, row) in zip(found, expected, strict=True):
        assert (line["measure"], line["model"]) == (measure, row["model"])
        for key in ("estimate", "mean", "median", "sd", "min", "max"):
            assert float(line[key]) == pytest.approx(row[key], rel=1e-11)
        assert float(line["low"]) == pytest.approx(row["interval"]["low"], rel=1e-11)
        assert float(line["percentile_high"]) == pytest.approx(row["percentile"]["high"], rel=1e-11)
        assert int(line["n_filled"]) == row["n_filled"]
        assert line["rank"] == ("" if row["rank"] is None else f"{row['rank']:g}")
        assert line["excluded"] == (row["excluded"] or "")
        assert float(line["failure_rate_upper"]) == pytest.approx(row["failures"]["upper"])


def test_csv_leaves_what_is_undefined_empty():
    line = rows(to_csv(document(2, 1, 1)))[0]
    assert line["low"] == line["high"] == line["method"] == line["sd"] == ""
    assert line["estimate"]


def test_csv_holds_no_formula():
    found = rows(to_csv(named(FORMULAS)))
    assert sorted(r["model"] for r in found) == sorted(f"'{name}" for name in FORMULAS)


@pytest.mark.parametrize("name", ["-5", "+1.5e-3", "nnU-Net", "a=b", "'=1", "a,b", 'a"b', "é"])
def test_csv_leaves_other_names_as_they_are(name):
    assert [r["model"] for r in rows(to_csv(named([name])))] == [name]


def test_csv_keeps_negative_numbers_as_numbers():
    board = document(2, 20, 1)
    board["results"][0]["table"][0]["estimate"] = -0.25
    assert rows(to_csv(board))[0]["estimate"] == "-0.25"


def test_markdown_has_a_table_per_measure_with_the_first_tier_in_bold():
    board = document(4, 20, 2, excluded=1)
    text = to_markdown(board)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 * (2 + 4)
    for result in board["results"]:
        part = text.partition(f"**{result['measure']}")[2]
        for row, line in zip(result["table"], part.splitlines()[4:], strict=False):
            cells = [c.strip() for c in line.strip("|").split("|")]
            bold = row["tier"] == 1
            assert cells[2].startswith("**") == cells[3].startswith("**") == bold
            assert row["model"] in cells[2]
            assert (row["excluded"] or "") in cells[2]
            assert cells[5] == ("20 (2 filled)" if row["n_filled"] else "20")
    first = board["results"][0]["table"][0]
    ends = " to ".join(number(first["interval"][k]) for k in ("low", "high"))
    assert f"| {ends} | 20 |" in text


def test_markdown_of_markup_stays_one_table():
    text = to_markdown(named(MARKUP))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(MARKUP)
    for line in lines:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 8
    assert "<img" not in text
    assert "](" not in text.replace(r"\](", "")
    assert "://" not in text


def test_latex_has_a_tabular_per_measure_with_the_first_tier_in_bold():
    board = document(4, 20, 2, excluded=1)
    text = to_latex(board)
    assert text.count(r"\begin{tabular}{rrlrrrr}") == text.count(r"\end{tabular}") == 2
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 2
    first = [row for r in board["results"] for row in r["table"] if row["tier"] == 1]
    assert text.count(r"\textbf") == 2 * len(first)
    assert all(rf"\textbf{{{row['model']}}}" in text for row in first)
    assert "(suspect)" in text


def test_latex_escapes_whatever_means_something():
    text = to_latex(named(TEX))
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) == 2 + len(TEX)
    for line in body[1:]:
        assert len(re.findall(r"(?<!\\)&", line)) == 6
        assert not re.search(r"(?<!\\)[%#]", line)
        assert line.count("{") - line.count(r"\{") == line.count("}") - line.count(r"\}")
    assert r"\input" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert r"a\_b\textasciicircum{}c" in text
    assert r"\$x\$ \& \#1" in text
    assert not re.search(r"^\s*[\[*]", text, re.M)


def test_latex_is_plain_where_names_are():
    board = document(3, 20, 2)
    board["results"][0]["table"][0]["estimate"] = -0.25
    assert to_latex(board).isascii()
    assert "$-$0.250" in to_latex(board)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(tmp_path):
    tables = to_latex(named(TEX)) + to_latex(document(3, 1, 2))
    preamble = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "t.tex").write_text(f"{preamble}\n{tables}\n\\end{{document}}\n")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("write", [to_csv, to_markdown, to_latex])
def test_a_board_of_nothing_is_written(write):
    assert write({}) in ("", to_csv({}))
