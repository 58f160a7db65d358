"""The tutorial as it stands, timed: 4-bit base, standby, nine tenths of the GPU for vLLM, Unsloth's recomputation.

Where it departs, the libraries moved on: TRL has no `max_prompt_length` any more (the rows are
shorter), model and rows come from local paths, and the reward is one that varies for a model
of random weights.

    python benchmarks/tutorial.py MODEL ROWS STEPS --out tutorial.json [--caches DIR]
"""

import os

import measure


def main() -> None:
    options = measure.arguments("the tutorial").parse_args()
    cold = measure.use_caches(options.caches)
    os.environ.update(UNSLOTH_VLLM_STANDBY="1", UNSLOTH_DISABLE_STATISTICS="1", HF_HUB_OFFLINE="1")
    from unsloth import FastLanguageModel  # isort: skip  # before trl, which it patches
    from trl import GRPOConfig, GRPOTrainer

    watch = measure.Watch("tutorial", options, cold)
    watch.phase_done("import")
    model, tokenizer = FastLanguageModel.from_pretrained(
        model_name=options.model, max_seq_length=measure.sequence(options), load_in_4bit=True, fast_inference=True,
        max_lora_rank=8, gpu_memory_utilization=0.9,
    )  # fmt: skip
    model = FastLanguageModel.get_peft_model(
        model, r=8, lora_alpha=8, target_modules=measure.TARGET_MODULES, use_gradient_checkpointing="unsloth",
        random_state=1234,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=[watch.reward],
        train_dataset=measure.dataset(options.rows),
        callbacks=[watch.callback()],
        args=GRPOConfig(
            use_vllm=True,
            per_device_train_batch_size=options.completions,
            max_steps=options.steps,
            output_dir="outputs",
            **measure.training(options),
        ),
    )
    watch.phase_done("load")
    trainer.train()
    watch.finish()


if __name__ == "__main__":
    main()
