"""Primitives that many programs share: who holds what, who waits for it, in which order. Pure: nothing here waits."""
