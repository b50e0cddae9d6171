"""Measuring: a cell on a shape beside PyTorch, JAX and ONNX Runtime, each in a process of its own.

A `Case` says what is run, a peer how; `Crew` holds the peers' processes and lets one of them work
at a time; `results` and `table` say what came out.
"""
