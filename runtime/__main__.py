"""`python -m runtime`, and the entry of the frozen program."""

import gc

gc.disable()  # nearly all that is made while starting stays; `cli/main.py` begins to collect when that is done


def begin() -> None:
    """The program, from its first line."""
    from runtime.cli.version import tells_version

    if tells_version():
        return
    from runtime.cli.sooner import begin_lean

    begin_lean()
    from runtime.cli.main import main

    main()


if __name__ == "__main__":
    begin()
