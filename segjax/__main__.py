"""`python -m segjax` and the `segjax` command."""

import sys


def main() -> None:
    """Run the command line."""
    from segjax.cli import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
