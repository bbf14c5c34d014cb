"""`loaf inspect --sbom`: what is inside a bundle, as a CycloneDX list, for programs that look for known faults.

The list follows from the manifest alone, so the same bundle gives the same list. Its form is that of CycloneDX 1.6
(https://cyclonedx.org/docs/1.6/json/), names of packages are package URLs (https://github.com/package-url/purl-spec).
Refuses to know where the manifest got its licences from.
"""

from __future__ import annotations

import re
import uuid
from typing import Any
from urllib.parse import quote

from bundler.text import as_json
from runtime.bundle import Bundle, Model, Package, Runtime

_SPDX = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
_HUB = re.compile(r"hf:(?P<repository>[^:@]+)(?::[^@]*)?@(?P<revision>[0-9a-f]{40})")
"""What `bundler/sources/hub.py` writes as the origin of weights."""

Component = dict[str, Any]


def to_sbom(bundle: Bundle) -> str:
    """The list as JSON."""
    manifest = bundle.manifest
    models = [_model(bundle, model) for model in manifest.models]
    programs = [
        *(_program(bundle, runtime, "loaf runtime") for runtime in manifest.runtimes),
        *(_program(bundle, builder, "loaf") for builder in manifest.builders),
    ]
    packs = [_pack(bundle, pack.entry, f"{pack.backend} backend of ggml") for pack in manifest.packs]
    packs += [_pack(bundle, media.entry, "what pictures and sounds need") for media in manifest.media]
    software = {
        program.entry: [*map(_package, program.packages), *map(_library, program.libraries)]
        for program in (*manifest.runtimes, *manifest.builders)
    }
    software |= {media.entry: [*map(_package, media.packages)] for media in manifest.media}
    depends = [
        {"ref": "bundle", "dependsOn": [one["bom-ref"] for one in (*models, *programs, *packs)]},
        *({"ref": entry, "dependsOn": [one["bom-ref"] for one in parts]} for entry, parts in software.items()),
    ]
    unique = {one["bom-ref"]: one for parts in software.values() for one in parts}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, manifest.build_id)}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "loaf", "version": manifest.loaf}]},
            "component": {
                "bom-ref": "bundle",
                "type": "application",
                "name": manifest.name,
                "version": manifest.build_id[:16],
            },
        },
        "components": [*models, *programs, *packs, *unique.values()],
        "dependencies": depends,
    }
    return as_json(document)


def _model(bundle: Bundle, model: Model) -> Component:
    properties = {
        "role": model.role,
        "architecture": model.architecture,
        "parameters": str(model.parameter_count),
        "quantization": model.quantization,
        "origin": model.origin,
    }
    component: Component = {
        "bom-ref": model.entry,
        "type": "machine-learning-model",
        "name": model.name,
        **_hashes(bundle, model.entry),
        **_licenses(model.license or ""),
        "properties": [{"name": f"loaf:{name}", "value": value} for name, value in properties.items() if value],
    }
    if hub := _HUB.fullmatch(model.origin):
        component["version"] = hub["revision"]
        component["purl"] = f"pkg:huggingface/{quote(hub['repository'])}@{hub['revision']}"
    return component


def _program(bundle: Bundle, program: Runtime, name: str) -> Component:
    return {
        "bom-ref": program.entry,
        "type": "application",
        "name": f"{name} for {program.platform}",
        "version": bundle.manifest.loaf,
        **_hashes(bundle, program.entry),
        **_licenses("MIT"),
    }


def _pack(bundle: Bundle, entry: str, name: str) -> Component:
    return {"bom-ref": entry, "type": "library", "name": name, **_hashes(bundle, entry), **_licenses("MIT")}


def _package(package: Package) -> Component:
    purl = f"pkg:pypi/{quote(package.name)}@{quote(package.version)}"
    return {**_library(package), "bom-ref": purl, "purl": purl}


def _library(library: Package) -> Component:
    reference = "@".join(filter(None, (library.name, library.version)))  # programs may have different ones
    component: Component = {"bom-ref": reference, "type": "library", "name": library.name}
    if library.version:
        component["version"] = library.version
    if library.name == "llama.cpp":
        component["purl"] = f"pkg:github/ggml-org/llama.cpp@{quote(library.version)}"
    return {**component, **_licenses(library.license)}


def _hashes(bundle: Bundle, entry: str) -> Component:
    sha256 = next(one.sha256 for one in bundle.manifest.entries if one.name == entry)
    return {"hashes": [{"alg": "SHA-256", "content": sha256}]}


def _licenses(text: str) -> Component:
    """An expression where it has the form of one, else a name: "apache-2.0", as models say it, is none of SPDX's."""
    if not text:
        return {}
    if _SPDX.fullmatch(text) and text != text.lower():
        return {"licenses": [{"expression": text}]}
    return {"licenses": [{"license": {"name": text}}]}
