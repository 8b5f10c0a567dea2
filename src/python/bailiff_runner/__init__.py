"""bailiff_runner: the Python side of bailiff.

It reads Taipy applications into a manifest (``manifest``) and runs their functions (``worker``).
How the server talks to it is written in src/jobs/PROTOCOL.md. Standard library only; pandas, numpy and
pyarrow are used where an application has brought them along.
"""
