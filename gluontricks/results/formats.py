"""Grids as Markdown and as LaTeX."""

from __future__ import annotations

import re
from typing import Mapping

from gluontricks.results.grids import Cell, Grid
from gluontricks.results.words import clean, escape

PAGE = "../index.html"
SHOWN = 6

TEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$",
    "²": r"\textsuperscript{2}", "`": r"\textasciigrave{}",
}  # fmt: skip


def to_markdown(grid: Grid) -> str:
    """Return a grid as Markdown: heading, lines, caption, footnotes, notes."""
    align = [("--:" if column.numeric else ":--") for column in grid.columns]
    body = [[escape(column.title) for column in grid.columns], align]
    body += [[_markdown_cell(cell) for cell in row] for row in grid.rows]
    text = [f"# {escape(grid.title)}", ""]
    text += ["| " + " | ".join(row) + " |" for row in body]
    text += ["", escape(grid.caption), ""]
    text += [f"{number}. {escape(note)}" for number, note in enumerate(grid.footnotes, start=1)]
    text += [""] if grid.footnotes else []
    text += [f"- {escape(note, code=True)}" for note in grid.notes]
    return "\n".join(text).rstrip("\n") + "\n"


def _markdown_cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.grey and text:
        text = f"*{text}*"
    if cell.note is not None:
        text += f" <sup>{cell.note}</sup>"
    links = [f"[{escape(run[-SHOWN:])}]({PAGE}#run-{anchor(run)})" for run in cell.runs]
    return " ".join([*([text] if text else []), *links])


def anchor(run: str) -> str:
    """Return a run's id with nothing in it that could end a link or an attribute."""
    return re.sub(r"[^\w.-]", "-", run)


def to_latex(grid: Grid) -> str:
    """Return a grid as a LaTeX table for the packages ``booktabs`` and ``longtable``."""
    shape = "".join("r" if column.numeric else "l" for column in grid.columns)
    heading = " & ".join(tex(column.title) for column in grid.columns)
    lines = [
        r"% \usepackage{booktabs,longtable}",
        rf"\begin{{longtable}}{{{shape}}}",
        rf"\caption{{{tex(grid.title)}}} \\",
        r"\toprule",
        heading + r" \\",
        r"\midrule \endhead",
    ]
    lines += [" & ".join(_tex_cell(cell) for cell in row) + r" \\" for row in grid.rows]
    lines += [r"\bottomrule", r"\end{longtable}", "", tex(grid.caption), ""]
    notes = [f"\\textsuperscript{{{n}}} {tex(t)}" for n, t in enumerate(grid.footnotes, start=1)]
    lines += [
        f"{note}\n" for note in (*notes, *(tex(note.replace("`", "")) for note in grid.notes))
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _tex_cell(cell: Cell) -> str:
    text = tex(" ".join([cell.text, *(run[-SHOWN:] for run in cell.runs)]).strip())
    if cell.grey and text:
        text = rf"\textit{{{text}}}"
    return text if cell.note is None else rf"{text}\textsuperscript{{{cell.note}}}"


def tex(text: str) -> str:
    """Return ``text`` so that LaTeX shows it and does nothing else with it."""
    return "".join(TEX.get(character, character) for character in clean(text))
