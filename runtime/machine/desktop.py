"""Opening the page in the user's browser."""

from __future__ import annotations

import threading
import webbrowser


def open_page(address: str) -> threading.Thread:
    """In a thread, which is returned: some browsers' launchers do not return while they run. A failure is none of ours.

    What it finds in the environment is what the user has there: `program.restore_environment` has seen to that.
    """
    opening = threading.Thread(target=webbrowser.open, args=(address,), daemon=True)
    opening.start()
    return opening
