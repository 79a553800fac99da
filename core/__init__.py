"""Edgemood: facial-expression recognition that is trained, quantised and run on small computers."""

import os

__version__ = "0.1.0"

# ONNX Runtime's official packages from 1.29 on send usage events to their maker, unless this is set
# before they are loaded (Privacy.md in the package). What looks at faces tells nobody.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
