"""Opening the page in the user's browser."""

from __future__ import annotations

import threading
import webbrowser


def open_page(address: str) -> None:
    """In a thread, because some browsers' launchers do not return while they run. A failure is no failure of ours.

    What it finds in the environment is what the user has there: `program.restore_environment` has seen to that.
    """
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
