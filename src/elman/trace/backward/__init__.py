"""Backpropagation through time, worked line by line."""
