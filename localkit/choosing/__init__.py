"""Which of several quants to take: what there is, what fits, what was chosen."""
