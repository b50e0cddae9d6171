"""Not a peer: which sequences of a case lie so near to a corner that they tell nothing."""

from __future__ import annotations

from elman.bench.corners import near_corners
from elman.bench.job import Job, Ready


def prepare(job: Job) -> Ready:
    """One call looks at all sequences."""
    return Ready(lambda: near_corners(job.case, job.cell, job.given), lambda found: {"near": found})
