"""`python -m firedoor` is `firedoor`."""

from firedoor.cli import main

main()
