"""Plain TRL with vLLM in colocate mode: what a user could pick instead, at settings that suit it.

bf16 base with a LoRA, 30 % of the GPU for vLLM, no sleep; the tutorial's hyperparameters, and
TRL's defaults for the rest: recomputation on (`--no-checkpointing` turns it off, which needs a smaller
`--micro-batch` from some 64 completions on), the correction for the difference between vLLM and the trainer on.

    python benchmarks/plain_trl.py MODEL ROWS STEPS --out trl.json [--completions N] [--caches DIR]
"""

import os

import measure


def main() -> None:
    parser = measure.arguments("plain TRL with vLLM in colocate mode")
    parser.add_argument("--no-checkpointing", action="store_true", help="keep activations instead of recomputing")
    parser.add_argument("--micro-batch", type=int, help="completions of a micro-batch; default: one for the whole step")
    parser.add_argument("--share", type=float, default=0.3, help="share of GPU memory for vLLM")
    options = parser.parse_args()
    cold = measure.use_caches(options.caches)
    # FlashInfer's sampler needs a compiler at run time, and is not in every installation.
    os.environ.update(HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_USE_FLASHINFER_SAMPLER="0")
    from peft import LoraConfig
    from trl import GRPOConfig, GRPOTrainer

    size = options.micro_batch or options.completions
    told = {", no recomputation": options.no_checkpointing, f", micro-batches of {size}": size < options.completions}
    contestant = "plain TRL" + "".join(words for words, is_so in told.items() if is_so)
    watch = measure.Watch(contestant, options, cold)
    watch.phase_done("import")
    trainer = GRPOTrainer(
        model=options.model,
        reward_funcs=[watch.reward],
        train_dataset=measure.dataset(options.rows),
        callbacks=[watch.callback()],
        peft_config=LoraConfig(r=8, lora_alpha=8, target_modules=measure.TARGET_MODULES, task_type="CAUSAL_LM"),
        args=GRPOConfig(
            use_vllm=True,
            vllm_mode="colocate",
            vllm_gpu_memory_utilization=options.share,
            vllm_max_model_length=measure.sequence(options),
            model_init_kwargs={"dtype": "bfloat16"},
            bf16=True,
            gradient_checkpointing=not options.no_checkpointing,
            max_steps=options.steps,
            output_dir="outputs",
            per_device_train_batch_size=size,
            **{**measure.training(options), "gradient_accumulation_steps": options.completions // size},
        ),
    )
    watch.phase_done("load")
    trainer.train()
    watch.finish()


if __name__ == "__main__":
    main()
