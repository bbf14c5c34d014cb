"""`python -m runtime`, and the entry of the frozen program."""

import gc

gc.disable()  # nearly all that is made while starting stays; `cli.py` begins to collect when that is done

from runtime.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
