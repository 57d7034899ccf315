"""Checks of this machine, each in a process of its own: whatever a check runs into, the others go on.

A check that crashes, hangs or fails is told like any other finding, with what it was trying.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from streaming.doctor.findings import Finding, Mark
from streaming.endings import death
from streaming.legible import legible

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 2
MARKS: dict[Mark, str] = {"ok": "ok      ", "note": "note    ", "problem": "PROBLEM "}
LAST_CHARS = 300


@dataclass(frozen=True)
class Check:
    """what: `module:function`, see `streaming.doctor.child`; args: what it is given.

    wait_s: it is given up after so long.
    worst: what it means when it cannot be carried out.
    """

    title: str
    what: str
    args: tuple[str, ...] = ()
    wait_s: float = 10.0
    worst: Mark = "problem"


def examined(check: Check) -> list[Finding]:
    """What a check finds; when it does not come to its end, that is the last finding."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "streaming.doctor.child", check.what, *check.args],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, encoding="utf-8", errors="replace", start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    try:
        out, err = child.communicate(timeout=check.wait_s)
        how = "" if child.returncode == 0 else _ending(child.returncode, err)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        how = f"took longer than {check.wait_s:g} s"
    findings, tries = [], ""
    for line in out.splitlines():
        told = json.loads(line)
        if "tries" in told:
            tries = told["tries"]
        else:
            findings.append(Finding(**told))
    if how:
        doing = f"{tries}: " if tries else "this check "
        findings.append(Finding(check.worst, f"{doing}{how}", "docs/troubleshooting.md goes by symptom"))
    return findings


def examine(checks: Sequence[Check]) -> Iterator[tuple[Check, list[Finding]]]:
    """Every check with its findings, in their order, as soon as they are there."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from zip(checks, pool.map(examined, checks), strict=True)


def lines(check: Check, findings: Sequence[Finding]) -> list[str]:
    """A check for a person."""
    told = [check.title]
    for one in findings:
        told.append(f"  {MARKS[one.mark]}{legible(one.fact)}")
        if one.mend:
            told.append(f"  {' ' * len(MARKS[one.mark])}-> {legible(one.mend)}")
    return told


def _ending(code: int, err: str) -> str:
    """How a process ended, with its last words."""
    last = next((line for line in reversed(err.splitlines()) if line.strip()), "")
    return death(code) + (f": {last[:LAST_CHARS]}" if last else "")
