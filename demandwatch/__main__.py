"""`python -m demandwatch`, and what the command `demandwatch` runs."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it with status 130, even while it is still loading."""
    try:
        from demandwatch.cli import app  # noqa: PLC0415 - it loads for a second, inside this `try`

        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
