#!/usr/bin/env python3
"""Answers questions for `kf eval` with `system.kind = "command"`.

Reads one JSON object a line, `{"id", "question", …}`, and writes one a line, `{"id", "answer", …}`. The files of the
version that is evaluated are in the directory KF_VERSION_DIR, so another version of `retrieval.yaml` answers otherwise.
Standard library only. Logs go to standard error: standard output is the protocol.
"""

import json
import os
import re
import sys
from pathlib import Path

HANDBOOK = Path(__file__).with_name("handbook.md")
DECLINE = "I cannot answer that from our documents."


def words(text):
    """The words of a text in lower case, without those that every question has."""
    common = {"a", "an", "and", "can", "do", "does", "for", "how", "i", "is", "it", "my", "of", "the", "to", "what", "you"}
    return set(re.findall(r"[a-z0-9]+", text.lower())) - common


def passages():
    """The handbook as (id, heading, text)."""
    for block in HANDBOOK.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading, _, text = block.partition("\n")
        name = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")
        yield name, heading, " ".join(text.split())


def setting(name):
    """A number of the version's retrieval.yaml, which is `name: number` lines."""
    text = Path(os.environ["KF_VERSION_DIR"], "retrieval.yaml").read_text(encoding="utf-8")
    return float(re.search(rf"^{name}: *([0-9.]+) *$", text, re.MULTILINE).group(1))


def answer(question, known, top_k, least):
    """The best passages for a question; declines when none shares enough words with it."""
    asked = words(question)
    scored = [(len(asked & words(f"{heading} {text}")) / max(len(asked), 1), name, text) for name, heading, text in known]
    found = sorted((s for s in scored if s[0] >= least), key=lambda s: (-s[0], s[1]))[:top_k]
    text = f"{found[0][2]} [{found[0][1]}]" if found else DECLINE
    return {"answer": text, "contexts": [t for _, _, t in found], "context_ids": [n for _, n, _ in found], "cost_usd": 0}


def main():
    known, top_k, least = list(passages()), int(setting("top_k")), setting("least_overlap")
    print(f"answering for {os.environ['KF_MODEL']} {os.environ['KF_VERSION']}", file=sys.stderr)
    for line in sys.stdin:
        asked = json.loads(line)
        out = {"id": asked["id"], **answer(asked["question"], known, top_k, least)}
        print(json.dumps(out, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
