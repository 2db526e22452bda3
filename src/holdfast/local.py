"""Locks, queues, timers, processes and pools on the user's own agent, under the names of the standard library."""
