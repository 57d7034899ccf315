"""What is told of a run that is over."""

from __future__ import annotations

import argparse
import sys

from streaming.report.report import write_report


def report(args: argparse.Namespace) -> int:
    out, remarks = write_report(args.dir, args.out or args.dir / "report.html")
    for remark in remarks:
        print(f"note: {remark}", file=sys.stderr)
    print(f"written to {out}")
    return 0
