"""`python -m elman.cli` is `elman`."""

from elman.cli import main

main()
