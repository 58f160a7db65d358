"""Inputs of training: base model, chat template, rows."""
