"""How fast `kf ingest` is and how much memory it takes, kind by kind of a corpus; beside the Python pipeline of `baseline.py` in
the same run when asked.

    python benches/ingest/corpus.py CORPUS
    python benches/ingest/measure.py target/release/kf CORPUS [--python v/bin/python]

For each folder of CORPUS, and for all of it, in a repository of its own: a run that reads, checks and cuts but embeds and keeps
nothing, a run that takes everything in with the built-in embedder, and the same again with nothing to do. CPU seconds are user
and system time of the process and its workers as the kernel counts them; memory is the largest sum of the resident sizes of
the process and its workers, looked at every 10 ms. Linux only. Prints a Markdown table.
"""

import argparse
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

# An endpoint that a dry run does not ask, so that nothing is embedded.
NO_EMBEDDER = '\n[embedder]\nkind = "endpoint"\nurl = "http://127.0.0.1:9/v1"\nmodel = "none"\ndimensions = 8\n'


def resident(pid):
    """The resident bytes of a process and of all below it."""
    total, left = 0, [pid]
    while left:
        process = left.pop()
        try:
            total += int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
            left += map(int, pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split())
            for task in os.listdir(f"/proc/{process}/task"):
                if task != str(process):
                    left += map(int, pathlib.Path(f"/proc/{process}/task/{task}/children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def run(command, folder, codes=(0, 5)):
    """CPU seconds and the largest resident size of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(os.devnull, "wb") as nowhere:
        child = subprocess.Popen(command, cwd=folder, stdout=nowhere, stderr=nowhere)
        most = 0
        while child.poll() is None:
            most = max(most, resident(child.pid))
            time.sleep(0.01)
    if child.returncode not in codes:
        sys.exit(f"{command} ended with {child.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, most


def repository(kf, folder, more=""):
    subprocess.run([kf, "init", "--quiet", "--name", "measured"], cwd=folder, check=True)
    with open(os.path.join(folder, "mlops.toml"), "a", encoding="utf-8") as file:
        file.write(more)
    return folder


def measure(kf, documents):
    with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
        without = run([kf, "ingest", "--dry-run", documents], repository(kf, a, NO_EMBEDDER))
        repository(kf, b)
        whole = run([kf, "ingest", documents], b)
        again = run([kf, "ingest", documents], b)
    return without, whole, again


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("kf", type=pathlib.Path)
    ask.add_argument("corpus", type=pathlib.Path)
    ask.add_argument("--python", help="an interpreter with the packages of baseline.py")
    told = ask.parse_args()
    kf = str(told.kf.resolve())
    print("| documents | number | MB | without embedding: CPU s | documents/CPU s | MB/CPU s | all: CPU s | MiB | again: CPU s | Python: CPU s | ratio |")
    print("| --- " + "| ---: " * 10 + "|")
    corpus = told.corpus.resolve()
    for folder in [*sorted(p for p in corpus.iterdir() if p.is_dir()), corpus]:
        files = [p for p in folder.rglob("*") if p.is_file()]
        size = sum(p.stat().st_size for p in files) / 1e6
        (without, _), (whole, most), (again, _) = measure(kf, str(folder))
        python = ratio = ""
        if told.python:
            baseline = pathlib.Path(__file__).with_name("baseline.py")
            used, _ = run([told.python, str(baseline), str(folder)], folder)
            python, ratio = f"{used:.1f}", f"{used / without:.1f}"
        name = "all" if folder == corpus else folder.name
        print(
            f"| {name} | {len(files)} | {size:.1f} | {without:.2f} | {len(files) / without:.0f} | {size / without:.1f} "
            f"| {whole:.2f} | {most / 2**20:.0f} | {again:.2f} | {python} | {ratio} |",
            flush=True,
        )


main()
