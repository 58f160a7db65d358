#!/usr/bin/env bash
# One run on Hugging Face Jobs, publishing to the Hub, with the settings of the env file and your own token:
#   k8s/others/huggingface-jobs.sh hf://your-name/qwen2.5-3b-gsm8k [options of `hf jobs run`, such as --dry-run]
# The machine is deleted afterwards, and an interrupted run is not restarted: run the same command again to resume from the
# checkpoints on the Hub. Without --timeout a job ends after 30 minutes.
set -euo pipefail

place=${1:?where to publish, such as hf://your-name/qwen2.5-3b-gsm8k}
shift
settings=$(dirname "$0")/../base/grpo.env

exec hf jobs run --flavor l40sx1 --timeout 6h --env-file "$settings" --secrets HF_TOKEN \
  --env GRPO_RUN_ID=grpo-gsm8k --env GRPO_PUBLISH_TO="$place" --env GRPO_CHECKPOINT_TO="$place-checkpoints" \
  --env GRPO_OUTPUT_DIR=/tmp/outputs --env GRPO_CACHE_DIR=/tmp/cache --env HF_HOME=/tmp/huggingface --env HOME=/tmp \
  "$@" ghcr.io/OWNER/grpo-job:0.1.0 grpo-job run
