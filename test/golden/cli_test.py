#!/usr/bin/env python3
# skep: the eBPF system, in C++
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of a golden file and compares what they print, whole.

usage: cli_test.py [--update] FILE.txt BIN_DIR

A golden file is a shell session: a line "$ command" is run by sh in this folder, with BIN_DIR in front
of PATH and $T an empty temporary folder ($ROOT in the output is the repository's); the lines below it are what it prints (stdout and stderr
together), and "[N]" after them its exit status if that is not 0. Lines with '#' at the start are
comments. Speeds differ between machines: in lines that start with "speed:", and behind
"seconds", "packets_per_second" and "duration" in JSON, any number matches.
--update writes what the commands print now; read the difference before you commit it.
"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
JSON_TIMES = re.compile(r'("(?:seconds|packets_per_second|duration)":)[-+.e0-9]+')


def normal(line, folder):
    line = line.replace(folder, "$T").replace(ROOT, "$ROOT").rstrip()
    if line.startswith("speed:"):
        line = re.sub(r"\d[\d.]*", "N", line)
    return JSON_TIMES.sub(r"\1N", line)


def run(command, folder, environment):
    done = subprocess.run(["sh", "-c", command], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=100,
                          cwd=os.path.dirname(os.path.abspath(__file__)))
    lines = [normal(x, folder) for x in done.stdout.decode("utf-8", "replace").splitlines()]
    return lines + ([f"[{done.returncode}]"] if done.returncode else [])


def sessions(lines):
    """Yields (kind, text, expected lines): comments and blank lines, and commands."""
    command, expected = None, []
    for line in lines + ["#"]:
        if line.startswith(("$ ", "#")):
            if command is not None:
                yield "command", command, expected
            command, expected = None, []
        if line.startswith("$ "):
            command = line[2:]
        elif command is not None:
            expected.append(line)
        else:
            yield "text", line, []


def main():
    update = sys.argv[1:2] == ["--update"]
    path, bin_dir = sys.argv[-2:]
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    failures, commands, out = 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "T": folder, "PATH": bin_dir + ":" + os.environ["PATH"],
                       "XDG_CACHE_HOME": folder + "/cache", "LC_ALL": "C"}
        os.mkdir(folder + "/cache")
        for kind, text, expected in sessions(lines):
            if kind == "text":
                out.append(text)
                continue
            commands += 1
            actual = run(text, folder, environment)
            out += ["$ " + text] + actual
            expected = [normal(x, folder) for x in expected]
            if actual != expected and not update:
                failures += 1
                print(f"{path}: $ {text}")
                for line in expected:
                    print("  expected: " + line)
                for line in actual:
                    print("  actual:   " + line)
                # A filter hides why: show what came in front of it.
                if "|" in text:
                    first = text.split("|")[0].replace("2>&1", "")
                    for line in run(first, folder, environment)[-30:]:
                        print("  unfiltered: " + line)
    if update:
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(out[:-1]) + "\n")
    if commands == 0:
        sys.exit(f"{path}: no commands")
    print(f"{commands} commands, {failures} differ")
    sys.exit(1 if failures else 0)


main()
