"""What comes from outside before training: the base model, its chat template, the rows."""
