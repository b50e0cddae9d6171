"""Elman beside PyTorch, JAX, ONNX Runtime and torchrecurrent: the suite of `make bench`.

`python benchmarks/run.py --quick`, or all of it without; docs/benchmarks.md says how it measures.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from elman.bench import suite as suites
from elman.bench.peers import RIVALS
from elman.bench.run import lasting, progress, read_results, run, write_pictures, write_results
from elman.bench.table import markdown
from elman.errors import ElmanError

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    options = parsed()
    made = (suites.quick if options.quick else suites.full)(options.threads)
    suite = chosen(made, options)
    begun = read_results(options.resume, options.threads) if options.resume else None
    done = {row.case.key for row in begun.rows} if begun else set()
    left = [case for case in suite.cases if case.key not in done]
    minutes = replace(suite, cases=tuple(left)).minutes(options.compile_seconds)
    progress(lasting(left, minutes))
    results = run(
        suite,
        options.threads,
        begun=begun,
        compile_seconds=options.compile_seconds,
        peak=not options.without_peak,
        save=lambda results: write_results(results, options.output),
        say=progress,
    )
    write_results(results, options.output)
    write_pictures(results, options.output)
    print(markdown(results))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="what tells most in three minutes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS, help="a folder")
    parser.add_argument("--resume", type=Path, help="results.json of a run that stopped")
    parser.add_argument("--cells", nargs="*", help="only these, as in 'lstm*'")
    parser.add_argument("--tasks", nargs="*", choices=["inference", "training"])
    parser.add_argument("--shapes", nargs="*", help="only these, as in 1,16,16 (B, I, H)")
    parser.add_argument("--peers", nargs="*", choices=RIVALS)
    parser.add_argument("--seconds", type=float, help="of turns for each case")
    parser.add_argument("--compile-seconds", type=float, default=120.0)
    parser.add_argument("--without-peak", action="store_true", help="no matrix products")
    return parser.parse_args()


def chosen(suite: suites.Suite, options: argparse.Namespace) -> suites.Suite:
    """The part of a suite that was asked for."""
    cases = [
        case
        for case in suite.cases
        if (not options.cells or any(fnmatch(case.cell, p) for p in options.cells))
        and (not options.tasks or case.task in options.tasks)
        and (not options.shapes or shape(case) in options.shapes)
    ]
    more = {"peers": tuple(options.peers)} if options.peers else {}
    more |= {"seconds": options.seconds} if options.seconds else {}
    return replace(suite, cases=tuple(cases), **more)


def shape(case: suites.Case) -> str:
    return f"{case.batch},{case.input_size},{case.hidden_size}"


if __name__ == "__main__":
    try:
        main()
    except ElmanError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
