"""What one candidate's training may raise, and what is told of it."""

# torch says by RuntimeErrors that memory ran out or that a factorisation failed, numpy's linear
# algebra by ValueErrors. A database that is away, a stop, or a programming error of another kind
# is none of these: they end the worker.
BREAKS = (RuntimeError, MemoryError, ValueError, ArithmeticError)


def reason(error: BaseException) -> str:
    """What broke, for people: the kind of the error and its message, if it has one."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")
