#!/bin/sh
# `make gpu`: the packages of the GPU lock and this package in .venv-gpu, on a machine with an NVIDIA GPU. What is missing
# is one sentence with its cure. Called again, it continues where it stopped.
set -eu
venv=.venv-gpu

refuse() {
  printf 'make gpu: %s\n' "$1" >&2
  exit 2
}

machine="$(uname -s) on $(uname -m)"
[ "$machine" = "Linux on x86_64" ] ||
  refuse "this is $machine, and locks/gpu.lock holds packages for Linux on x86_64: use such a machine, or the CPU (make smoke)"

glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | tr -d -c '0-9.') || glibc=
printf '%s\n' "${glibc:-0}" | awk -F. '{ exit !($1 > 2 || ($1 == 2 && $2 >= 35)) }' ||
  refuse "this system has glibc ${glibc:-unknown}, and the packages of locks/gpu.lock need 2.35: use Ubuntu 22.04, Debian 12 or newer, or the image (make image)"

command -v nvidia-smi >/dev/null ||
  refuse "nvidia-smi was not found: install NVIDIA's driver 580 or newer, or train the sample on the CPU (make smoke)"
gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>&1) ||
  refuse "nvidia-smi sees no GPU ($(printf '%s' "$gpu" | head -n 1)): repair the driver, or give this machine or container a GPU (docker run --gpus all)"

[ -n "$gpu" ] || refuse "nvidia-smi lists no GPU: give this machine or container one (docker run --gpus all)"

command -v uv >/dev/null ||
  refuse "uv was not found: install it (pipx install uv, or python3 -m pip install --user uv), see that it is in PATH, and run make gpu again"

command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null ||
  refuse "no C compiler was found, and Triton compiles its launchers with one: install it (apt-get install gcc libc6-dev) and run make gpu again"

if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null; then
  rm -rf "$venv"
  uv venv --quiet --python 3.12 "$venv" ||
    refuse "Python 3.12, which locks/gpu.lock is made for, is neither here nor could uv fetch it: install it (apt-get install python3.12-dev, or uv python install 3.12) and run make gpu again"
fi
refused=$("$venv/bin/python" -m grpo_job.runtime.cuda_driver "$gpu" 2>&1) || refuse "$refused"
"$venv/bin/python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' ||
  refuse "Python.h of Python 3.12 was not found, and Triton compiles its launchers with it: install it (apt-get install python3.12-dev) and run make gpu again"

uv pip install --python "$venv" --no-deps --require-hashes --compile-bytecode --requirement locks/gpu.lock ||
  refuse "the packages of locks/gpu.lock could not be installed, see uv's message above: they need 8 GB of disk and a package index (UV_DEFAULT_INDEX names another one); run make gpu again"
uv pip install --quiet --python "$venv" --no-deps --no-build-isolation --editable . ||
  refuse "this package could not be installed, see uv's message above: run make gpu in a checkout that you may write to"

printf 'ready: %s has the packages of locks/gpu.lock; this machine has\n%s\n' "$venv" "$gpu"
printf 'next, with your GRPO_* variables:\n  %s/bin/grpo-job check\n  %s/bin/grpo-job run\n' "$venv" "$venv"
