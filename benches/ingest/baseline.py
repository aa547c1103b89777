"""What a usual Python pipeline needs for the same documents: text by pypdf, BeautifulSoup (lxml), python-docx, python-pptx,
openpyxl and plain reading, chunks by LangChain's recursive splitter (2,000 characters, 200 overlap, its usual setting), no
embedding.

    python -m venv v
    v/bin/pip install pypdf beautifulsoup4 lxml langchain-text-splitters python-docx python-pptx openpyxl
    v/bin/python benches/ingest/baseline.py FOLDER

Prints documents, chunks, CPU seconds and the largest resident size. Nothing is checked for quality, nothing is embedded and
nothing is kept, all of which `kf ingest` does in the figure beside it in docs/benchmarks.md.
"""

import os
import resource
import sys

import docx
import openpyxl
import pptx
from bs4 import BeautifulSoup
from langchain_text_splitters import RecursiveCharacterTextSplitter
from pypdf import PdfReader


def sheets(path):
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    rows = (row for sheet in book for row in sheet.iter_rows(values_only=True))
    return "\n".join("\t".join(str(cell) for cell in row if cell is not None) for row in rows)


def slides(path):
    shapes = (shape for slide in pptx.Presentation(path).slides for shape in slide.shapes)
    return "\n".join(shape.text_frame.text for shape in shapes if shape.has_text_frame)


READERS = {
    "pdf": lambda path: "\n".join(page.extract_text() for page in PdfReader(path).pages),
    "docx": lambda path: "\n".join(paragraph.text for paragraph in docx.Document(path).paragraphs),
    "pptx": slides,
    "xlsx": sheets,
}


def text_of(path):
    kind = path.rsplit(".", 1)[-1].lower()
    if kind in READERS:
        return READERS[kind](path)
    with open(path, "rb") as file:
        raw = file.read()
    if kind in ("html", "htm", "xhtml"):
        return BeautifulSoup(raw, "lxml").get_text("\n")
    return raw.decode("utf-8", "replace")


def main(folder):
    splitter = RecursiveCharacterTextSplitter(chunk_size=2000, chunk_overlap=200)
    documents = chunks = failed = 0
    for parent, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            try:
                chunks += len(splitter.split_text(text_of(os.path.join(parent, name))))
                documents += 1
            except Exception:
                failed += 1
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{documents} documents, {failed} failed, {chunks} chunks")
    print(f"{used.ru_utime + used.ru_stime:.1f} CPU s, {used.ru_maxrss // 1024} MiB")


main(sys.argv[1])
