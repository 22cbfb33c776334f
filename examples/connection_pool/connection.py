"""A connection to a database that is made up."""

import creche


class Connection:
    """Answers after ten milliseconds. Whoever asks it twice at once has made a mistake."""

    def __init__(self) -> None:
        self._busy = False

    async def query(self, text: str) -> str:
        assert not self._busy, "two clients have the same connection"
        self._busy = True
        await creche.sleep(0.01)
        self._busy = False
        return text.upper()
