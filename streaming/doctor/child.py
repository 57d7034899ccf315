"""One check in a process of its own: `python -P -m streaming.doctor.child MODULE:FUNCTION ARGUMENT ...`.

The function yields findings, and before what may hang or end the process, what it tries next, as text. All of
it is told line by line, so what came before a crash is known. Nothing is loaded here that may be broken.
"""

from __future__ import annotations

import importlib
import sys

from streaming.doctor.findings import Channel


def main() -> None:
    channel = Channel()
    module, _, function = sys.argv[1].partition(":")
    for one in getattr(importlib.import_module(module), function)(*sys.argv[2:]):
        channel.tell(one)


if __name__ == "__main__":
    main()
