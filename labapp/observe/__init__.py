"""What a worker says about itself: its log, its metrics, its spans."""
