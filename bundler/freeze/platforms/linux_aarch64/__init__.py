"""64-bit ARM, on a Debian of another kind, without being root.

debian → Debian's own packages for it, unpacked     packages → Python's, from the index     platform → the verbs

llama.cpp is cross-compiled. PyInstaller looks at libraries with the tools of their own system, and starts Python to
see what it imports: so it runs in a folder that has that system in it, by proot, which shows it as the root folder,
and qemu, which runs programs for other processors. On an ARM machine itself `native.py` does the same as everywhere.

Refuses to know what is frozen.
"""

from bundler.freeze.platforms.linux_aarch64.platform import LinuxAarch64

__all__ = ["LinuxAarch64"]
