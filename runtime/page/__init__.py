"""Results -> a page in the browser: the live picture, what was read, how the source is doing."""

from __future__ import annotations

from edgemood.runtime.page.address import Address, Certificate
from edgemood.runtime.page.serve import Page

__all__ = ["Address", "Certificate", "Page"]
