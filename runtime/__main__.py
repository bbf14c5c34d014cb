"""`python -m runtime`, and the entry of the frozen program."""

import gc

gc.disable()  # nearly all that is made while starting stays; `cli/main.py` begins to collect when that is done

from runtime.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
