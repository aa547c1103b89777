"""What a usual Python pipeline needs for the same documents: text by pypdf, BeautifulSoup (lxml) and plain reading, chunks by
LangChain's recursive splitter (2,000 characters, 200 overlap, its usual setting), no embedding.

    python -m venv v && v/bin/pip install pypdf beautifulsoup4 lxml langchain-text-splitters ebooklib
    v/bin/python benches/ingest/baseline.py FOLDER

Prints documents, chunks, CPU seconds and the largest resident size. Nothing is checked for quality, nothing is embedded and
nothing is kept, all of which `kf ingest` does in the figure beside it in docs/benchmarks.md.
"""

import os
import resource
import sys

from bs4 import BeautifulSoup
from langchain_text_splitters import RecursiveCharacterTextSplitter
from pypdf import PdfReader


def text_of(path):
    kind = path.rsplit(".", 1)[-1].lower()
    if kind == "pdf":
        return "\n".join(page.extract_text() for page in PdfReader(path).pages)
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
