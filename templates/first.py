"""What the frozen program runs before its first line: where its modules are.

All of them lie in one file, `_internal/modules`, which runtime.spec writes: code as `marshal` has it, and behind it an
index. A file for each costs a dozen system calls, and Python's own search through folders; and where modules are found
is known. Libraries are files, as ever. Under a name that no module has lie regular expressions that have been compiled
(patterns.py). Imports nothing that Python has not begun with.
"""

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec

PATTERNS = ""
COMPILERS = ("re._compiler", "sre_compile")
"""Of regular expressions; the second until Python 3.10."""


class Modules:
    """Finds and loads the modules in the file `modules` in `folder`: an entry of `sys.meta_path`, and their loader."""

    def __init__(self, folder):
        self._folder = folder
        self._file = os.open(f"{folder}/modules", os.O_RDONLY | os.O_CLOEXEC)
        end = os.lseek(self._file, 0, os.SEEK_END)
        size = int.from_bytes(os.pread(self._file, 8, end - 8), "little")
        self._index = marshal.loads(os.pread(self._file, size, end - 8 - size))

    def find_spec(self, name, _path=None, _target=None):
        found = self._index.get(name)
        if found is None:
            return None
        place = f"{self._folder}/{name.replace('.', '/')}"
        is_package = found[2]
        spec = ModuleSpec(name, self, origin=f"{place}/__init__.pyc" if is_package else f"{place}.pyc")
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [place]
        return spec

    def create_module(self, _spec):
        return None

    def exec_module(self, module):
        name = module.__spec__.name
        exec(self._read(name), module.__dict__)
        if name in COMPILERS:
            know(self._read(PATTERNS), module)

    def _read(self, name):
        offset, size, _is_package = self._index[name]
        return marshal.loads(os.pread(self._file, size, offset))


def know(patterns, compiler):
    """Have `compiler` make no programs of `patterns`, which have theirs."""
    compile_anew = compiler.compile

    def compile(p, flags=0):
        program = patterns.get((p, int(flags))) if isinstance(p, str | bytes) else None
        return compile_anew(p, flags) if program is None else compiler._sre.compile(p, *program)

    compiler.compile = compile


sys.meta_path.insert(0, Modules(sys._MEIPASS))
