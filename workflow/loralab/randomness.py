"""Named random streams: every draw of an experiment is a function of its one seed and a name."""

import hashlib


def stream_seed(seed: int, name: str) -> int:
    """The seed, in [0, 2**63), of the stream `name` of the experiment with `seed`.

    Streams are independent of one another, so that drawing more from one (a longer training, say)
    never shifts another (the initial weights).
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
