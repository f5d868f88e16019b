"""Asking a run to stop: Ctrl-C, and what systems send before they end a program."""

import contextlib
import signal
import threading
from collections.abc import Iterator

# SIGHUP, when a terminal closes; Windows has none.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP")
           if hasattr(signal, name)]


@contextlib.contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Gathers the signals that ask to stop, for the end of the step: a net saved within an update
    would be torn.

    The same signal a second time ends the program at once. A signal that is ignored stays so (as
    under nohup). In a thread other than the main one there are none. Earlier handlers come back
    at the end.
    """
    asked, before = [], {}

    def ask(number, frame):
        asked.append(number)
        if asked.count(number) > 1:
            end(number)

    try:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    before[number] = signal.signal(number, ask)
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(number: int = signal.SIGTERM) -> None:
    """End the program as that signal would have: KeyboardInterrupt, or exit code 128 + number."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
