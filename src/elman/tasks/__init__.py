"""Applications: data readers, the one training loop, and one small file per task."""
