"""Keeps secrets out of every output: finds their values, knows how texts write them, and replaces them."""
