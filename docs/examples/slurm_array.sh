#!/bin/bash
# Segment a folder as a job array: sbatch slurm_array.sh
#SBATCH --job-name=biostyle
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
set -euo pipefail
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
biostyle segment new/images -o masks --model runs/new/model --labels watershed \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
