"""vmsec-bench: migrations by vmsec and by its peers, in turn, and what they cost."""
