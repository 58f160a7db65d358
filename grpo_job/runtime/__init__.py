"""The process and the machine: signals, GPUs, versions, library variables, caches, several processes."""
