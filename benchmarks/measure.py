"""What the benchmarks share: whole processes timed from outside, and a line about the machine."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("FIELDGUIDE_DATA") or ROOT.parent / "shared" / "data")


@dataclass(frozen=True)
class Run:
    """One finished process: its wall seconds, its peak resident memory, and what it printed."""

    seconds: float
    peak_mib: float
    stdout: str


def run_process(command: list[str], **environment: str) -> Run:
    """Run a command to its end and account for it; what it says on standard error is shown when it fails."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env={**os.environ, **environment})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            sys.exit(f"{' '.join(command)} exited with {process.returncode}:\n{err.read()}")
        return Run(seconds, usage.ru_maxrss / 1024, out.read())


def top1(run: Run) -> str:
    """Return the accuracy that a run printed as JSON, where it did."""
    if "{" not in run.stdout:
        return ""
    facts = json.loads(run.stdout[run.stdout.index("{") :])
    return f"{facts.get('metrics', facts)['top1']:.3f}"


def describe_machine() -> str:
    """Return the processor, cores, system and the versions that matter, for the record."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    flags = ""
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
        known = next((line for line in lines if line.startswith("flags")), "").split()
        flags = " ".join(f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in known)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "openvino", "pillow", "numpy"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores ({flags}); Python {platform.python_version()}, {libraries}"
