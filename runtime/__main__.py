"""`python -m runtime`, and the entry of the frozen program."""

from runtime.cli import main

if __name__ == "__main__":
    main()
