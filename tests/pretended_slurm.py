"""Stand-ins for sbatch, srun and sacct: a job's tasks become processes of this machine, in SLURM's environment."""

import stat
import sys
from pathlib import Path

SBATCH = """
import os, re, subprocess, sys
text = open(sys.argv[-1]).read()
flags = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", text, re.M))
per_node, nodes = int(flags.get("ntasks-per-node", 1)), int(flags.get("nodes", 1))
assert nodes == 1
first, last = map(int, re.match(r"(\\d+)-(\\d+)", flags.get("array", "0-0")).groups())
for index in range(first, last + 1):
    environment = os.environ | {
        "SLURM_JOB_ID": str(4200 + index), "SLURM_ARRAY_JOB_ID": "4200", "SLURM_ARRAY_TASK_ID": str(index),
        "SLURM_JOB_NAME": flags["job-name"], "SLURM_NTASKS": str(per_node), "SLURM_NTASKS_PER_NODE": str(per_node),
        "SLURM_NNODES": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NODEID": "0",
        "SLURM_NODELIST": "127.0.0.1", "SLURM_JOB_NODELIST": "127.0.0.1",
    }
    if "array" not in flags:
        del environment["SLURM_ARRAY_JOB_ID"], environment["SLURM_ARRAY_TASK_ID"]
    subprocess.Popen(["bash", "-c", text], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("Submitted batch job 4200")
"""

SRUN = """
import os, subprocess, sys
arguments, files = sys.argv[1:], {}
while arguments[0].startswith("--"):
    flag = arguments.pop(0)
    if flag in ("--output", "--error"):
        files[flag] = arguments.pop(0)
numbers = {"%A": os.environ.get("SLURM_ARRAY_JOB_ID", ""), "%a": os.environ.get("SLURM_ARRAY_TASK_ID", ""),
           "%j": os.environ["SLURM_JOB_ID"]}
tasks = []
for task in range(int(os.environ["SLURM_NTASKS"])):
    opened = []
    for flag in ("--output", "--error"):
        name = files[flag]
        for pattern, value in {**numbers, "%t": str(task)}.items():
            name = name.replace(pattern, value)
        os.makedirs(os.path.dirname(name), exist_ok=True)
        opened.append(open(name, "w"))
    environment = os.environ | {"SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)}
    tasks.append(subprocess.Popen(arguments, env=environment, stdout=opened[0], stderr=opened[1]))
sys.exit(max(abs(task.wait()) for task in tasks))
"""

SACCT = """
print("JobID|State|NodeList")
for number in range(9):
    print(f"4200_{number}|RUNNING|127.0.0.1")
"""


def install(folder: Path) -> None:
    """Put the three programs into `folder`, which is to come first in PATH."""
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("sacct", SACCT)):
        program = folder / name
        program.write_text(f"#!{sys.executable}\n{text}")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
