"""`loaf image`: what other people's tools make of it, and what runs in it without any system below."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from langchain_community.llms.llamafile import Llamafile

from bundler.errors import BundleNotIntact, FolderTaken, NoCLibraryInside, NoRoom
from bundler.file.content import Inline
from bundler.imaging import image as imaging
from bundler.imaging.image import write_image
from bundler.imaging.layers import file_layer
from bundler.imaging.oci import Blobs, Start
from support.bundles import Run, Server, loaf
from support.once import made_once
from support.programs import needs
from support.roots import Root, needs_root
from support.small_bundles import HERE, build_small, small_gguf, small_runtime

NOBODY = 65532


def _nothing(_bytes: int) -> None:
    pass


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo bundle for this platform as an image, beside the bundle. Read-only for tests."""

    def make(folder: Path) -> None:
        loaf("build", "demo", "--platform", HERE, "-o", str(folder / "demo.loaf"), check=True)
        loaf("image", str(folder / "demo.loaf"), "-o", str(folder / "image"), check=True)

    return Path(made_once(tmp_path_factory, "image", make)) / "image"


@pytest.fixture(scope="session")
def container(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """What umoci makes of the image: a root folder, with the folders that every engine adds. Read-only for tests."""
    needs_root()
    needs("umoci")

    def make(folder: Path) -> None:
        subprocess.run(["umoci", "unpack", "--image", f"{layout}:latest", folder / "bundle"], check=True)
        for name in ("proc", "dev"):
            (folder / "bundle/rootfs" / name).mkdir()

    return Root(made_once(tmp_path_factory, "container", make) / "bundle/rootfs", user=NOBODY)


def started(container: Root) -> tuple[dict[str, str], str]:
    """The environment and the program that the image's configuration names."""
    process = json.loads((container.path.parent / "config.json").read_text())["process"]
    environment = dict(
        entry.split("=", 1) for entry in process["env"] if not entry.startswith(("PATH", "HOME", "TERM"))
    )
    return environment, process["args"][0]


def test_skopeo_reads_it(layout: Path) -> None:
    needs("skopeo")
    asked = subprocess.run(["skopeo", "inspect", f"oci:{layout}:latest"], check=True, capture_output=True, text=True)
    told = json.loads(asked.stdout)
    assert (told["Os"], told["Architecture"]) == ("linux", {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine])
    assert len(told["Layers"]) == 3
    copied = layout.with_name("copied")
    subprocess.run(["skopeo", "copy", f"oci:{layout}:latest", f"oci:{copied}:latest"], check=True, capture_output=True)
    assert (copied / "index.json").exists()


def test_the_weights_are_a_layer_that_other_images_share(layout: Path, tmp_path: Path) -> None:
    """The same weights with other defaults: the layer, uncompressed, is the same blob."""
    other = tmp_path / "other.loaf"
    shutil.copy(layout.with_name("demo.loaf"), other)
    loaf("set", str(other), "--temp", "0.1", check=True)
    loaf("image", str(other), "-o", str(tmp_path / "other"), check=True)
    assert layers_of(layout)[:2] == layers_of(tmp_path / "other")[:2]
    assert layers_of(layout)[2] != layers_of(tmp_path / "other")[2]
    assert layers_of(layout)[0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar"


def test_it_answers_without_a_system(container: Root, demo: Path, run: Run) -> None:
    prompt = ("-p", "Who was the first man on the moon?", "--temp", "0")
    environment, program = started(container)
    here, there = run(demo, *prompt), container.run(program, *prompt, **environment)
    assert (there.returncode, there.stdout, there.stderr) == (0, here.stdout, "")
    assert " of its own." in container.run(program, "--explain", **environment).stdout
    assert {path.name for path in container.path.iterdir()} == {"loaf", "tmp", "proc", "dev"}


def test_it_serves(container: Root, tmp_path: Path) -> None:
    environment, program = started(container)
    with Server(container.program(program), cache=tmp_path, environment=environment | {"LOAF_CACHE_DIR": ""}) as server:
        assert "Neil Armstrong" in Llamafile(base_url=server.url, temperature=0).invoke("The first man on the moon was")


def test_the_same_bundle_gives_the_same_bytes(layout: Path, tmp_path: Path) -> None:
    write_image(layout.with_name("demo.loaf"), tmp_path / "again", _nothing)
    assert everything(tmp_path / "again") == everything(layout)


@pytest.mark.parametrize(("asked", "platform"), [("amd64", "linux-x86_64"), ("arm64", "linux-aarch64")])
def test_one_name_for_several_platforms(tmp_path: Path, asked: str, platform: str) -> None:
    needs("skopeo")
    blobs = Blobs(tmp_path / "image")
    images = {}
    for name in ("linux-x86_64", "linux-aarch64"):
        layer = file_layer("name", (Inline(name.encode()),), 0o644)
        images[name] = blobs.image(name, [(layer, blobs.layer(layer, _nothing))], Start("/x", (), (), "1:1", 80), name)
    blobs.name(images)
    inspect = ["skopeo", "--override-arch", asked, "inspect", "--config", f"oci:{tmp_path}/image:latest"]
    told = json.loads(subprocess.run(inspect, check=True, capture_output=True).stdout)
    assert (told["architecture"], told["config"]["Labels"]["org.opencontainers.image.title"]) == (asked, platform)


def test_a_program_that_brings_no_c_library(tmp_path: Path) -> None:
    programs = (small_runtime(tmp_path / name, name, platform=name) for name in ("linux-x86_64", "linux-aarch64"))
    bundle = build_small(tmp_path / "m.loaf", small_gguf(tmp_path / "m.gguf"), *programs)
    with pytest.raises(NoCLibraryInside) as caught:
        write_image(bundle, tmp_path / "image", _nothing)
    assert caught.value.platform == "linux-x86_64"
    assert "loaf upgrade" in caught.value.hint
    assert not (tmp_path / "image").exists()


def test_what_is_there_is_left_alone(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image/mine").touch()
    for target in (tmp_path / "image", tmp_path / "image/mine"):
        with pytest.raises(FolderTaken):
            write_image(demo, target, _nothing)
    assert [path.name for path in tmp_path.rglob("*")] == ["image", "mine"]


def test_a_damaged_bundle_becomes_no_image(demo: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "demo.loaf"
    shutil.copy(demo, damaged)
    with damaged.open("r+b") as file:
        file.seek(70_000)
        file.write(b"other")
    with pytest.raises(BundleNotIntact):
        write_image(damaged, tmp_path / "image", _nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["demo.loaf"]


def test_no_room(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1 << 40, 1 << 40, 1 << 20))
    with pytest.raises(NoRoom):
        write_image(demo, tmp_path / "image", _nothing)


def test_interrupted_it_leaves_nothing(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(imaging, "program_layer", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_image(demo, tmp_path / "image", _nothing)
    assert list(tmp_path.iterdir()) == []


def layers_of(layout: Path) -> list[dict[str, str]]:
    def blob(digest: str) -> bytes:
        return (layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()

    (named,) = json.loads((layout / "index.json").read_text())["manifests"]
    return [dict(layer) for layer in json.loads(blob(named["digest"]))["layers"]]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
