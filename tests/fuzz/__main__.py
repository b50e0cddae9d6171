"""`python -m tests.fuzz`: 100,000 texts into both readers; exits with 1 where one falls over.

Every finding is kept in a file named by the hash of its text; `--only 17` reads text 17 alone.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path

from tests.fuzz.rows import Finding, Tally, read_all
from tests.fuzz.texts import random_text


def report(tally: Tally, seconds: float) -> str:
    lines = []
    for name, kinds in tally.kinds.items():
        refused = sum(kinds.values()) - kinds["read"]
        slowest, number = tally.slowest[name]
        slow = f"slowest {slowest:.2f} s (text {number})"
        lines.append(f"{name}: {kinds['read']} read, {refused} refused; {slow}")
        codes = sorted((kind, count) for kind, count in kinds.items() if kind != "read")
        lines.append("  " + ", ".join(f"{kind} {count}" for kind, count in codes))
    lines.append(f"memory grew by {tally.grown >> 20} MB at most; {seconds:.0f} s")
    lines.append(f"{len(tally.findings)} findings")
    return "\n".join(lines)


def keep(finding: Finding, seed: int, folder: Path) -> Path:
    """Write the text of a finding to a file, and what happened beside it."""
    text = random_text(seed, finding.number)
    data = text.encode("utf-8", "surrogatepass")
    path = folder / f"{finding.reader}-{hashlib.sha256(data).hexdigest()[:12]}.txt"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    said = f"seed {seed}, text {finding.number}: {finding.kind}\n{finding.how}\n"
    path.with_suffix(".said").write_text(said, "utf-8", "backslashreplace")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one text")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"))
    args = parser.parse_args()
    numbers = range(args.count) if args.only is None else range(args.only, args.only + 1)
    start = time.monotonic()
    tally = read_all(args.seed, numbers, args.processes)
    print(report(tally, time.monotonic() - start))
    for finding in sorted(tally.findings, key=lambda f: f.number):
        place = (
            f"{finding.reader}, text {finding.number}" if finding.number >= 0 else "at the start"
        )
        path = keep(finding, args.seed, args.keep)
        print(f"{place}: {finding.kind}, kept in {path}")
    return bool(tally.findings)


if __name__ == "__main__":
    sys.exit(main())
