"""How long `kf drift` takes and how much memory, beside Evidently in the same run when asked.

    v/bin/python benches/drift/make.py FOLDER
    v/bin/python benches/drift/measure.py target/release/kf FOLDER [--python v/bin/python]

A version is registered, its baseline made of `reference.parquet`, and `current.parquet` checked against it: three times each, the
least is printed. CPU seconds are user and system time as the kernel counts them; memory is the largest resident size. Linux only.
Prints a Markdown table.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TIMES = 3


def run(command, folder, codes):
    """CPU seconds, wall seconds and the largest resident size (MB) of a command, and what it printed."""
    began = time.monotonic()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = child.stdout.read().decode()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in codes:
        sys.exit(f"{command} ended with {child.returncode}:\n{said}")
    return used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / 1024, said


def least(command, folder, codes=(0,), times=TIMES):
    """The run with the least CPU time."""
    return min((run(command, folder, codes) for _ in range(times)), key=lambda r: r[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kf", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--python", help="an interpreter that has Evidently")
    args = parser.parse_args()
    kf, data = str(args.kf.resolve()), args.folder.resolve()
    reference, current = (str(data / f"{name}.parquet") for name in ("reference", "current"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "model.txt").write_text("a model\n")
        for command in (["init", "--quiet", "--name", "measured"], ["register", "scores", "model.txt"]):
            subprocess.run([kf, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        rows.append(("`kf drift baseline`", *least([kf, "drift", "baseline", "scores@1.0.0", "--data", reference], folder)[:3]))
        check = [kf, "drift", "check", "scores", "--data", current]
        rows.append(("`kf drift check` against the stored profile", *least(check, folder, (0, 3))[:3]))
        rows.append(("… against the reference's data", *least([*check, "--reference", reference], folder, (0, 3))[:3]))
        page = [*check, "--report", f"html={folder}/report.html"]
        rows.append(("… with a page", *least(page, folder, (0, 3))[:3]))
        for what, name, codes in (("baseline", "reference", (0,)), ("check", "current", (0, 3))):
            model = "scores@1.0.0" if what == "baseline" else "vectors"
            more = ["--name", "vectors"] if what == "baseline" else []
            command = [kf, "drift", what, model, "--data", str(data / f"vectors-{name}.parquet"), *more]
            rows.append((f"`kf drift {what}` of 20,000 vectors of 384 numbers", *least(command, folder, codes)[:3]))
        print(f"page: {os.path.getsize(f'{folder}/report.html') / 1024:.0f} kB", file=sys.stderr)
    if args.python:
        script = str(pathlib.Path(__file__).parent / "baseline.py")
        for name, more in (("Evidently, default report", []), ("Evidently, PSI for all", ["--method", "psi"])):
            rows.append((name, *least([args.python, script, str(data), *more], None, times=1)[:3]))
    print("| what | CPU s | wall s | peak MB |\n| --- | --: | --: | --: |")
    for name, cpu, wall, most in rows:
        print(f"| {name} | {cpu:.2f} | {wall:.2f} | {most:.0f} |")


if __name__ == "__main__":
    main()
