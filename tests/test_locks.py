"""One process or thread at a time, on all systems."""

import threading

import pytest

from alexnet_lib.errors import UserError
from alexnet_lib.locks import Lock


def test_a_second_lock_is_refused_until_the_first_is_released(tmp_path):
    first, second = (Lock(tmp_path / "lock", "busy here") for _ in range(2))
    assert first.acquire() and first.acquire()  # it has it already
    with pytest.raises(UserError, match="busy here"):
        second.acquire()
    first.release()
    assert second.acquire()
    second.release()
    second.release()  # does nothing


def test_one_may_wait(tmp_path):
    first, second = (Lock(tmp_path / "lock") for _ in range(2))
    first.acquire()
    waiting = threading.Thread(target=second.acquire, kwargs={"wait": True})
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    first.release()
    waiting.join(5)
    assert not waiting.is_alive()
    with pytest.raises(UserError):
        first.acquire()
    second.release()  # by another thread than the one that took it


def test_a_place_without_locks_keeps_nobody_out(tmp_path):
    (tmp_path / "file").touch()
    assert not Lock(tmp_path / "file" / "lock").acquire()
    assert Lock().acquire()
