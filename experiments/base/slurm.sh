#!/bin/bash
# A SLURM job that is requeued before its time ends, and resumes: sbatch experiments/base/slurm.sh RUN --config ...
# Two nodes of four GPUs here; the options after RUN are those of `sdnet-pl fit`.
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --time=04:00:00
#SBATCH --signal=SIGUSR1@120
#SBATCH --requeue
set -eu
run=$1
shift
# last.ckpt is written at the end of every epoch, and when the signal comes. The newest checkpoint that loads is used: a
# full disk or a dead node may have left one that does not load.
newest=$(.venv/bin/python -c 'import pathlib, sys
from sdnet_pl.inference.weights import newest_checkpoint
print(newest_checkpoint(pathlib.Path(sys.argv[1])) or "")' "$run")
# If it was stopped before there was one, it starts again; what it left is kept under another name.
[ -n "$newest" ] || [ ! -e "$run" ] || mv "$run" "$run.stopped-$(date +%s)"
status=0
srun .venv/bin/sdnet-pl fit "$@" --run_dir "$run" ${newest:+--ckpt_path "$newest"} \
    --trainer.num_nodes "$SLURM_NNODES" --trainer.devices "$SLURM_NTASKS_PER_NODE" --trainer.strategy ddp \
    --trainer.accelerator gpu --trainer.sync_batchnorm true || status=$?
# 128 + SIGUSR1: time was nearly up. A job that was cancelled ends with SIGTERM, and is not to come again.
[ "$status" -ne 138 ] || scontrol requeue "$SLURM_JOB_ID"
exit "$status"
