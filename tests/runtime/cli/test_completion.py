"""Completion of flags, in the shells themselves, for bundles and for the `loaf` command."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.cli.completion import SHELLS, script
from support.bundles import clean_environment, loaf

Run = Callable[..., "subprocess.CompletedProcess[str]"]

BASH = """
compopt() {{ printf '%s\\n' "compopt $1 $2"; }}
source {script}
COMP_WORDS=({words}) COMP_CWORD={last}
_loaf_complete {program}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

ZSH = """
compdef() {{ : }}
_files() {{ print -r -- "files $*" }}
_describe() {{ print -rl -- "${{(@P)3}}" }}
compadd() {{ print -rl -- "${{(@P)4}}" }}
source {script}
words=({words}) CURRENT=$(({last} + 1))
_loaf_complete
"""

FISH = """
source {script}
complete -C {line}
"""

TEMPLATES = {
    "bash": ["bash", "--norc", "-c", BASH],
    "zsh": ["zsh", "-f", "-c", ZSH],
    "fish": ["fish", "-N", "-c", FISH],
}


def complete(
    shell: str, script: Path, program: Path | str, *words: str, path: str = "", cache: Path | None = None
) -> str:
    """What `shell` offers for the last of `words`."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    typed = [str(program), *words]
    *command, template = TEMPLATES[shell]
    text = template.format(
        script=script,
        program=shlex.quote(typed[0]),
        words=" ".join(word or "''" for word in typed),
        last=len(words),
        line=shlex.quote(" ".join(typed)),
    )
    environment = clean_environment(cache, PATH=f"{path}:{os.environ['PATH']}", HOME=str(script.parent))
    done = subprocess.run([*command, text], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_bundle_completes_its_flags_and_their_values(
    demo: Path, warm_cache: Path, run: Run, tmp_path: Path, shell: str
) -> None:
    (tmp_path / "script").write_text(run(demo, "--completion", shell).stdout)

    def words(*typed: str) -> str:
        return complete(shell, tmp_path / "script", demo, *typed, cache=warm_cache)

    flags = words("--temp", "1", "--log-f")
    assert "--log-file" in flags
    assert "--log-format" in flags
    assert "--port" not in flags
    assert "--log-verbose" not in words("--log-d"), "flags without effect are not offered"
    assert {word.partition("\t")[0] for word in words("--log-format", "").split()} == {"text", "json"}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_loaf_command_completes_commands_flags_and_files(tmp_path: Path, shell: str) -> None:
    file = tmp_path / "script"
    file.write_text(loaf("completion", shell, check=True).stdout)
    (tmp_path / "a-model.gguf").touch()
    folder = str(Path(sys.executable).parent)
    commands = complete(shell, file, "loaf", "ver", path=folder)
    assert "verify" in commands
    assert "build" not in commands
    assert "--sha256" in complete(shell, file, "loaf", "build", "--sh", path=folder)
    files = complete(shell, file, "loaf", "verify", f"{tmp_path}/a-m", path=folder)
    assert {"bash": "compopt -o default", "zsh": "files", "fish": "a-model.gguf"}[shell] in files


VALUES: list[tuple[tuple[str, ...], set[str], set[str]]] = [
    (("build", "m.gguf", "--quantize", "q4_k"), {"Q4_K_M", "Q4_K_S"}, {"Q5_K_M"}),
    (("build", "m.gguf", "--backend", ""), {"vulkan", "cuda", "rocm"}, {"metal"}),
    (("build", "m.gguf", "--platform", "linux-a"), {"linux-aarch64"}, {"linux-x86_64"}),
    (("run", "--runt"), {"--runtime-from"}, {"--temp"}),
    (("run", "m.gguf", "--te"), {"--temp"}, {"--runtime-from"}),
    (("run", "m.gguf", "--temp", "1", "--reasoning", ""), {"on", "off", "auto"}, {"--temp"}),
    (("run", "m.gguf", "--log-d"), set(), {"--log-disable"}),
]


@pytest.mark.parametrize(("words", "offered", "others"), VALUES, ids=[" ".join(one[0]) for one in VALUES])
@pytest.mark.parametrize("shell", SHELLS)
def test_values_and_what_follows_a_model_are_completed(
    tmp_path: Path, shell: str, words: tuple[str, ...], offered: set[str], others: set[str]
) -> None:
    file = tmp_path / "script"
    file.write_text(loaf("completion", shell, check=True).stdout)
    found = {
        line.partition("\t")[0]
        for line in complete(shell, file, "loaf", *words, path=str(Path(sys.executable).parent)).splitlines()
    }
    found = {line.partition(":")[0] for line in found}
    assert offered <= found
    assert not others & found


@pytest.mark.parametrize("shell", SHELLS)
def test_any_name_can_be_completed(tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script(shell, "it's my $model; exit 7"))
    done = subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_unknown_shell_is_refused(demo: Path, run: Run) -> None:
    done = run(demo, "--completion", "tcsh")
    assert done.returncode == 2
    assert "'bash', 'zsh', 'fish'" in done.stderr
