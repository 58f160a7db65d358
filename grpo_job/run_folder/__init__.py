"""The run folder: file names, atomic writes, the summary, and the identity of a run."""
