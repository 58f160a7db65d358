"""Which engine to use and what to run on this GPU: memory, micro-batches, CUDA graphs. Pure; imports no engine."""
