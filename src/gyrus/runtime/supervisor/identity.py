"""The supervisor's proof of its identity: the lock that it holds in its replica's folder."""

from __future__ import annotations

import os

from gyrus.aio.process_lock import hold
from gyrus.contract.replica import LOCK_FILE


def prove_identity(config_path: str) -> bool:
    """Take the lock beside the configuration. Returns False if another supervisor of the replica has it.

    Without a lock (the file system has none, or no file can be made now), an operator recognises the
    supervisor by its command line and start time.
    """
    try:
        hold(os.path.join(os.path.dirname(config_path), LOCK_FILE))
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
