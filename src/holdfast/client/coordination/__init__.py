"""What many programs share, from the side of one of them: requests, the lease, and the two faces."""
