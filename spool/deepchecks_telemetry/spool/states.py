"""The states of an event and of a batch, under the same names everywhere."""

from enum import Enum


class BatchState(str, Enum):
    """The state of an event or of its batch, by the same name in SQL, JSON, the command line, the page and the docs."""

    PENDING = "pending"  # an event that is in no batch yet
    SEALED = "sealed"  # to be sent next
    PARKED = "parked"  # refused for now
    EXPORTED = "exported"  # in a file, and no receipt has come
    DELIVERED = "delivered"
    REJECTED = "rejected"
    DROPPED = "dropped"  # exported and pruned before a receipt came, or in a copy, whose original sends it

    __str__ = str.__str__  # without it, formatting gives the value before Python 3.12, then "BatchState.SEALED"


UNSETTLED = (BatchState.SEALED, BatchState.PARKED, BatchState.EXPORTED)  # can still be sent
FINAL = (BatchState.DELIVERED, BatchState.REJECTED)
STATES = (*UNSETTLED, *FINAL, BatchState.DROPPED)  # of a batch


def in_states(*states: BatchState) -> str:
    """The states as a list for SQL's `IN`."""
    return "(" + ", ".join(f"'{state}'" for state in states) + ")"
