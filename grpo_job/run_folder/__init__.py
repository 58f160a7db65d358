"""What a run leaves behind: names of its files, how they are written, its summary and its identity."""
