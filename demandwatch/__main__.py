"""`python -m demandwatch`."""

from demandwatch.cli import main

main()
