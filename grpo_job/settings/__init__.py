"""Every `GRPO_*` variable: what it may be, how it is read, checked and shown."""
