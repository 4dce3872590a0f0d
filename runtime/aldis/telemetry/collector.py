"""Python's garbage collector, kept from stopping everybody.

A full collection looks at every connection: with 15,000 of them it held the event loop for 1.5 s. What is alive is
therefore set aside again and again, so that a collection looks at what is new. What is set aside and ends in a cycle
is looked for when as many connections have ended as there may be: a pause then, but one that pays.
"""

import gc

THRESHOLDS = (20_000, 10, 1_000)  # allocations, young collections, older ones before the next generation's turn
ENDED_AT_LEAST = 10_000  # connections ended before all is looked at once


class Collector:
    """Call `tidy` every few seconds."""

    def __init__(self) -> None:
        self._ended = 0
        gc.set_threshold(*THRESHOLDS)

    def tidy(self, *, ended: int, alive: int) -> bool:
        """Set aside what is alive; answer whether everything was collected first.

        `ended` counts the connections that have ever ended, `alive` those that are open.
        """
        everything = ended - self._ended >= max(ENDED_AT_LEAST, 2 * alive)
        if everything:
            self._ended = ended
            gc.unfreeze()
            gc.collect()
        else:
            gc.collect(0)
        gc.freeze()
        return everything
