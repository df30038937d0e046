"""What something costs, whatever else the machine and the collector do meanwhile."""

import gc
import time
from collections.abc import Callable


def cpu(action: Callable[[], object]) -> float:
    """Seconds of this thread's CPU that `action` takes."""
    enabled = gc.isenabled()
    gc.disable()  # a collection looks at all that earlier tests left, half a second of it late in a run
    try:
        began = time.thread_time()
        action()
        return time.thread_time() - began
    finally:
        if enabled:
            gc.enable()


def least_cpu(action: Callable[[], object], *, tries: int = 3, enough: float = 0.0) -> float:
    """The best of some tries: caches are cold at the first. No further try is made below `enough` seconds."""
    best = float("inf")
    for _ in range(tries):
        best = min(best, cpu(action))
        if best < enough:
            break
    return best
