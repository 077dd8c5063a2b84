"""What holds a connection or a file until it is closed."""

from __future__ import annotations

from typing import Self


class Closing:
    """Can be used in a ``with`` or ``async with`` block, which closes it at its end."""

    def close(self) -> None:
        """Let go of what is held."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
