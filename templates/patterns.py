"""Compiles the regular expressions that a server's start compiles, for first.py to have them ready.

Run by runtime.spec, in the Python that is frozen, as `python patterns.py SOURCE`; writes to standard output, as
`marshal` has it, {(pattern, flags): what `_sre.compile` makes the compiled one of}.
"""

import marshal
import re  # noqa: F401  # the compiler comes with it
import sys
import types
from importlib import import_module

sys.path.insert(0, sys.argv[1])
known = {}
compiler = sys.modules.get("re._compiler") or sys.modules["sre_compile"]
_sre, compile_anew = compiler._sre, compiler.compile


def compiled(pattern, *made):
    program.append(made)
    return _sre.compile(pattern, *made)


def noted(pattern, flags=0):
    program.clear()
    result = compile_anew(pattern, flags)
    if isinstance(pattern, str | bytes):
        all_flags, code, groups, names, numbers = program[0]
        known[pattern, int(flags)] = (int(all_flags), [int(one) for one in code], groups, dict(names), numbers)
    return result


program = []
compiler._sre = types.SimpleNamespace(**{**vars(_sre), "compile": compiled})
compiler.compile = noted


async def handler(_request):
    pass


sooner = import_module("runtime.cli.sooner")
sooner.begin_lean()
import_module("runtime.cli.main")
import_module("runtime.cli.translate")
sooner.leave_tls_out()
import_module("runtime.console.begin")
import_module("runtime.models.loading")
import_module("runtime.server.sooner").import_app()
import_module("runtime.server.serve")
router = import_module("aiohttp.web").UrlDispatcher()
routes = [route for dialect in import_module("runtime.server.app").DIALECTS for route in dialect.routes]
for path in ["/assets/{name}", *dict.fromkeys(path for route in routes for path in route.paths)]:
    router.add_route("GET", path, handler)
sys.stdout.buffer.write(marshal.dumps(known, 2))  # a version in which the same is written as the same
