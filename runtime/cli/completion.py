"""Completion in the shell, for the `loaf` command and for bundles alike: scripts that ask the program for each word.

Which words there are, click knows; it answers in the form that its own scripts take (`click.shell_completion`). Ours
differ in that they run the program as it was typed, because a bundle lies anywhere and is on no path.
"""

from __future__ import annotations

import shlex
from typing import Literal, get_args

VARIABLE = "_LOAF_COMPLETE"
"""What tells the program that it is asked for words."""

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = get_args(Shell)

_BASH = r"""
_loaf_complete() {
    local kind value IFS=$'\n'
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
            *) COMPREPLY+=("$value") ;;
        esac
    done < <(env VARIABLE=bash_complete COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \
        "${1/#\~/$HOME}" 2>/dev/null)
}
complete -o nosort -F _loaf_complete NAME
"""

_ZSH = r"""
#compdef NAME
_loaf_complete() {
    local kind value help
    local -a plain described
    while IFS= read -r kind && IFS= read -r value && IFS= read -r help; do
        case $kind in
            file) _files ;;
            dir) _files -/ ;;
            *) if [[ $help == _ ]]; then plain+=("$value"); else described+=("$value:$help"); fi ;;
        esac
    done < <(env VARIABLE=zsh_complete COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT - 1)) \
        "${words[1]/#\~/$HOME}" 2>/dev/null)
    if (( $#described )); then _describe -V option described; fi
    if (( $#plain )); then compadd -V option -a plain; fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _loaf_complete "$@"
else
    compdef _loaf_complete NAME
fi
"""

_FISH = r"""
function __loaf_complete
    set -lx COMP_WORDS (commandline -cp)
    set -lx COMP_CWORD (commandline -ct)
    set -lx VARIABLE fish_complete
    set -l program (string replace -r '^~' $HOME -- (commandline -opc)[1])
    for line in ($program 2>/dev/null)
        set -l parts (string split -m 1 , -- $line)
        switch $parts[1]
            case file
                __fish_complete_path $COMP_CWORD
            case dir
                __fish_complete_directories $COMP_CWORD
            case '*'
                printf '%s\n' $parts[2]
        end
    end
end
complete -c NAME -f -a '(__loaf_complete)'
"""

_SCRIPTS: dict[Shell, str] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(shell: Shell, name: str) -> str:
    """What `shell` has to read, so that it completes what follows a program called `name`, wherever that lies."""
    return _SCRIPTS[shell].lstrip("\n").replace("VARIABLE", VARIABLE).replace("NAME", shlex.quote(name))
