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
# Lightning writes hpc_ckpt_N.ckpt when the signal comes, and last.ckpt at the end of every epoch. The newest that loads
# is used: a full disk or a dead node may have left one that does not load.
newest=$(.venv/bin/python -c 'import pathlib, sys
from sdnet_pl.inference.weights import newest_checkpoint
print(newest_checkpoint(pathlib.Path(sys.argv[1])) or "")' "$run")
# If it was stopped before there was one, it starts again; what it left is kept under another name.
[ -n "$newest" ] || [ ! -e "$run" ] || mv "$run" "$run.stopped-$(date +%s)"
srun .venv/bin/sdnet-pl fit "$@" --run_dir "$run" ${newest:+--ckpt_path "$newest"} \
    --trainer.num_nodes "$SLURM_NNODES" --trainer.devices "$SLURM_NTASKS_PER_NODE" --trainer.strategy ddp \
    --trainer.accelerator gpu --trainer.sync_batchnorm true \
    --trainer.plugins SLURMEnvironment --trainer.plugins.auto_requeue true
