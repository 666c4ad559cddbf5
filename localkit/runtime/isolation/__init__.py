"""Engine work in processes of its own: trials, workers, forks."""
