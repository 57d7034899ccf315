"""What works on this machine.

It imports no package that may be missing here, for it is there to tell that.
"""

from __future__ import annotations

import argparse
import json

from streaming.doctor.examination import Check, examine, lines


def doctor(args: argparse.Namespace) -> int:
    checks = [
        Check("Python", "streaming.doctor.packages:python"),
        Check("Packages", "streaming.doctor.packages:packages", wait_s=30.0),
        Check("Model", "nodes.doctor:model", wait_s=60.0),
        Check("Recordings", "streaming.doctor.media:codecs"),
        Check("Cameras", "streaming.doctor.media:camera_lines", worst="note"),
        Check("Microphones", "streaming.doctor.media:microphone_lines", worst="note"),
        Check("Folders", "streaming.doctor.machine:folders", (args.out,)),
        Check("Ports", "streaming.doctor.machine:ports"),
        Check("Limits", "streaming.doctor.machine:limits", worst="note"),
    ]
    found = {}
    for check, findings in examine(checks):
        found[check.title] = findings
        if not args.json:
            print("\n".join(lines(check, findings)), flush=True)
    runs = all(one.mark != "problem" for findings in found.values() for one in findings)
    if args.json:
        told = {title.casefold(): [vars(one) for one in findings] for title, findings in found.items()}
        print(json.dumps({"runs": runs, "checks": told}, indent=1))
    else:
        print("The pipeline can run here." if runs else "The pipeline cannot run here before that is mended.")
    return 0 if runs else 1
