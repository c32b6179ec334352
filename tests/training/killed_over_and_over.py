"""A run in processes that are killed one after the other, at random moments, until one comes to its end.

    python killed_over_and_over.py DATA TARGET HOW SEED KILLS

HOW is JSON: {"model", "settings"} of a run from nothing, {"backbone", "weights", "settings"} of a fine-tuned one.
Children are forked after all imports, so that a kill costs no start; each is killed by SIGKILL some steps on,
and a random moment later: in a step, as it writes a checkpoint, as it clears old ones away; or at any moment at
all: as it decodes photos, solves the head. Prints, as JSON, how each child ended.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from fieldguide.libraries import import_timm, import_torchvision
from fieldguide.training import runs
from fieldguide.training.record.keeper import read_job

AT_ANY_MOMENT = 0.3  # of the kills


def go_on(data: str, target: Path, how: dict, pipe: int) -> None:
    """Begin the run, or take it up again; write a byte to the pipe after each step."""

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "steps":
            os.write(pipe, b".")

    watching = {"checkpoint_s": 0, "on_progress": tell}
    if read_job(target):
        runs.resume(target, **watching)
    else:
        how = {"size_px": 32, "engine": "torch-cpu", "seed": 7, "output": target, **how, **watching}
        if "model" in how:
            arguments = {"width": 0.25} if how["model"] == "mobilenet_v2" else {}
            runs.train_network(data, recipe="strong", arguments=arguments, **how)
        else:
            runs.finetune(data, **how)


def main() -> None:
    data, target, how, seed, kills = sys.argv[1:]
    import_timm()  # once, for all children
    import_torchvision()
    chance = random.Random(int(seed))
    endings = []
    while not endings or endings[-1] == -signal.SIGKILL:
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            os.close(ours)
            try:
                go_on(data, Path(target), json.loads(how), theirs)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        os.close(theirs)
        if len(endings) < int(kills):
            if chance.random() < AT_ANY_MOMENT:
                time.sleep(chance.random() * 0.15)
            else:
                for _ in range(chance.randrange(6)):
                    os.read(ours, 1)
                time.sleep(chance.random() * 0.06)
            os.kill(child, signal.SIGKILL)
        endings.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os.close(ours)
    print(json.dumps(endings))


if __name__ == "__main__":
    main()
