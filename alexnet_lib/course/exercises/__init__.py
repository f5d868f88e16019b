"""Checkers of the exercises, one file per notebook.

The docstring of `alexnet_lib.course.writing` says how to write one.
"""

import functools
import importlib
import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass

UNTOUCHED = "Not attempted yet."


class Hint(Exception):
    """Raised by a checker: the answer is not right yet; the message helps."""


class _Untouched(Exception):
    """The learner's function gave nothing: the stub stands as it was."""


@dataclass(frozen=True)
class Exercise:
    """A checker with its name ("02-1") and the hint that follows the second attempt."""
    name: str
    second_hint: str
    checker: Callable

    def verdict(self, answer, attempt: int = 1) -> tuple[bool, str]:
        """(is it correct?, what to say). Whatever the answer does, nothing is raised.

        An untouched stub gets `UNTOUCHED` and no hint. A wrong answer gets the checker's hint,
        from the second attempt on the second hint, too.
        """
        if _blank(answer):
            return False, UNTOUCHED
        second = f" {self.second_hint}" if attempt > 1 else ""
        if inspect.isfunction(answer):
            answer = _watched(answer)
        try:
            return True, self.checker(answer) or ""
        except _Untouched:
            return False, UNTOUCHED
        except Hint as hint:
            return False, f"{hint}{second}"
        except (Exception, SystemExit) as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())
            return False, f"Your code stopped with {what[:200]}.{second}"


def _blank(answer) -> bool:
    """Whether nothing was filled in: `...` or None, alone or in every place of a collection."""
    if type(answer) is dict:
        answer = list(answer.values())
    if type(answer) in (list, tuple):
        return bool(answer) and all(map(_blank, answer))
    return answer is None or answer is ...


def _watched(function: Callable) -> Callable:
    """`function`, but a result that is nothing tells that the stub is untouched."""
    @functools.wraps(function)
    def call(*args, **kwargs):
        result = function(*args, **kwargs)
        if _blank(result):
            raise _Untouched
        return result
    return call


_registry: dict[str, Exercise] = {}


def exercise(name: str, second_hint: str) -> Callable:
    """Register a checker: a function of the answer that raises `Hint` or returns a closing word."""
    def register(checker: Callable) -> Callable:
        _registry[name] = Exercise(name, second_hint, checker)
        return checker
    return register


def find(name: str) -> Exercise | None:
    """The exercise of this name, or None."""
    home = f"{__name__}.nb{name[:2]}"
    if importlib.util.find_spec(home) is not None:
        importlib.import_module(home)
    return _registry.get(name)


def expect(condition, hint: str) -> None:
    """Raise `Hint` unless the condition holds."""
    if not condition:
        raise Hint(hint)


def filled(answer, names, kinds=()) -> dict:
    """The answer, a dict with a value for each of `names`; each one of `kinds`, if these are given.
    """
    told = list(map(str, names))
    all_names = f"{', '.join(told[:-1])} and {told[-1]}"
    expect(isinstance(answer, dict) and set(names) <= set(answer), f"Keep the names: {all_names}.")
    expect(not any(answer[name] is None or answer[name] is ... for name in names),
           f"Fill in {all_names}.")
    expect(not kinds or all(answer[name] in kinds for name in names),
           "Use " + ", ".join(f'"{kind}"' for kind in kinds) + ".")
    return answer


def number(answer) -> float:
    """The answer as a plain number, whether int, float, numpy's or torch's."""
    try:
        return float(answer)
    except (TypeError, ValueError):
        raise Hint(f"A number is asked for; this is a {type(answer).__name__}.") from None


def tensor(answer, shape: tuple[int, ...] | None = None):
    """The answer as a float tensor, of `shape` if that is given."""
    import numpy as np
    import torch
    if isinstance(answer, np.ndarray):
        answer = answer.copy()  # a mirrored array runs backwards, which torch does not read
    try:
        value = torch.as_tensor(answer).detach().float()
    except (TypeError, ValueError, RuntimeError):
        raise Hint(f"A tensor is asked for; this is a {type(answer).__name__}.") from None
    if shape is not None:
        expect(tuple(value.shape) == tuple(shape),
               f"The shape should be {tuple(shape)}; this is {tuple(value.shape)}.")
    return value
