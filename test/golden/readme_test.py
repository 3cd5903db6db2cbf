#!/usr/bin/env python3
# skep: the eBPF system, in C++
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of a Markdown page's ```console blocks and compares what they print.

usage: readme_test.py PAGE.md BIN_DIR

A line "$ command" is run by sh in the repository's root with BIN_DIR in front of PATH; the lines below
it are what it must print (stdout and stderr together). A line "..." stands for any lines. Speeds and
times differ between machines: in a line with a unit of time or rate, numbers match any number.
"""
import os
import re
import subprocess
import sys

UNITS = re.compile(r"packets/s|\b(ns|us|ms|s)\b")
NUMBER = re.compile(r"\d[\d,.]*\d|\d")


def blocks(text):
    """Yields (command, [expected lines]) of each ```console block."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        command, expected = None, []
        for line in block.splitlines():
            if line.startswith("$ "):
                if command:
                    yield command, expected
                command, expected = line[2:], []
            else:
                expected.append(line.rstrip())
        if command:
            yield command, expected


def normal(line):
    return NUMBER.sub("N", line.rstrip()) if UNITS.search(line) else line.rstrip()


def matches(expected, actual):
    """Whole output against whole expectation; "..." skips any number of lines."""
    if not expected:
        return not actual
    if expected[0] == "...":
        return any(matches(expected[1:], actual[i:]) for i in range(len(actual) + 1))
    if not actual or normal(expected[0]) != normal(actual[0]):
        return False
    return matches(expected[1:], actual[1:])


def main():
    page, bin_dir = sys.argv[1], sys.argv[2]
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
    env = dict(os.environ, PATH=bin_dir + os.pathsep + os.environ["PATH"], NO_COLOR="1")
    count = failed = 0
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for command, expected in blocks(text):
        count += 1
        run = subprocess.run(command, shell=True, cwd=root, env=env, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=100, check=False)
        actual = run.stdout.rstrip("\n").splitlines()
        if not matches(expected, actual):
            failed += 1
            print(f"$ {command}\n--- the page says\n" + "\n".join(expected) +
                  "\n--- it prints\n" + "\n".join(actual))
    print(f"{page}: {count} commands, {failed} differ")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
