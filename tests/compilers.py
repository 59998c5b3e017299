"""Whether torch.compile can translate to C++ here."""

import os
import shutil

import pytest

#: Skips a test on a machine without the C++ compiler that torch.compile calls.
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler, and there is none"
)
