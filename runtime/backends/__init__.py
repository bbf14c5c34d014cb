"""GPUs: which this machine has, which pack in the file computes on them, and how much of a model goes there.

devices → what is known of a device                 vulkan, cuda, rocm → asking each driver
probe → the child process that asks                 detection → starting it, and remembering what it found
drivers → what must change before it is asked again  libraries, system_cxx → where drivers lie, and with which C++
choosing → which devices to use, and why            unpacking → a pack's library, once on this machine
fitting → how many layers fit                       preparing → from packs to a library that can be loaded
workers → devices of other machines, asked          listing → all that there are, for people

Nothing of it is imported where the file has no packs. Refuses to know llama.cpp: the engine loads the library and says
what is free on its devices.
"""

ASK_FOR_DEVICES = "--ask-for-devices"
"""The program's first argument, before a backend's name, when it is a child that asks a driver. No flag for people."""
