"""`python -m bundler.cli`, and the entry of the frozen command (bundler/freeze/builder.py)."""

from bundler.cli import main

if __name__ == "__main__":
    main()
