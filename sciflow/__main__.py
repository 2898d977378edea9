"""`python -m sciflow` is `sciflow`."""

from sciflow.cli import main

if __name__ == "__main__":
    main()
