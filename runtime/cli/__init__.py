"""The bundle's command line. Imports little, because `--version` and `--help` should answer at once."""
