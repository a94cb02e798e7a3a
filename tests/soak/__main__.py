"""`make soak`: many streams for a long time through the real command, in front of a Copilot that misbehaves.

SOAK_SECONDS (600) and SOAK_STREAMS (200) say how long and how many; SOAK_SEED repeats what a run drew.
"""

import asyncio
import os
import sys
import time

from tests.soak.run import Run

if __name__ == "__main__":
    seed = int(os.environ.get("SOAK_SEED") or time.time())
    soak = Run(float(os.environ.get("SOAK_SECONDS") or 600), int(os.environ.get("SOAK_STREAMS") or 200), seed)
    sys.exit(asyncio.run(soak.run()))
