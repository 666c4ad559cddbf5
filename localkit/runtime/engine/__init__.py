"""One model computing: the owner thread, its loop, and what the loop computes."""
