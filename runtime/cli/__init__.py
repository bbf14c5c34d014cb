"""The bundle's command line.

main → from the first line to the last       options, values, lists → every flag, what it may be
flags, command → all of them together, in groups
translate → flags into settings              computing, sampling → those of the engine, and of what is sampled
reading → files that flags name              arguments → `.args`, in llamafile's format
unused → flags that change nothing here      completion → words for the shell
building → what a build asks (`asking/`)     info → what is in the file
uninstalling → what the file has unpacked, taken away
sooner → what nobody needs to begin with     version → `--version`, before all else

Imports little, because `--version` and `--help` should answer at once. Refuses to know how anything is done.
"""
