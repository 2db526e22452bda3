"""Python functions on a host, from the caller's side: pools, processes, durable calls, timers."""
