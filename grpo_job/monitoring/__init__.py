"""What watches a run while it trains: health, budget, watchdog, progress, metrics for Prometheus, trackers."""
