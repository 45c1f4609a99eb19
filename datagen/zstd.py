"""Python's own zstd (PEP 784): in the standard library since 3.14, before that as its backport, 1.4 MB."""

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["zstd"]
