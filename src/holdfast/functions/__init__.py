"""Python functions on other machines: calls as bytes, the conversation with a worker, and the worker itself."""
